"""What each role of staff may do. What a command or a route needs stands in `functions`."""

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Right(StrEnum):
    """A thing that somebody may or may not do; in each but the last group, reading is a right of its own."""

    SEE_CARDS = "see_cards"
    ISSUE_CARDS = "issue_cards"
    # Look again at who has them: what is not backed any more, who has come of age.
    REVIEW_CARDS = "review_cards"
    # Put a card that was sent into use, let one rest, note that it is lost.
    STOP_CARDS = "stop_cards"
    REVOKE_CARDS = "revoke_cards"
    SEE_PEOPLE = "see_people"
    KEEP_PEOPLE = "keep_people"
    # Where somebody lives whose address is protected.
    SEE_PROTECTED = "see_protected"
    ERASE_PEOPLE = "erase_people"
    SEE_MONEY = "see_money"
    TAKE_MONEY = "take_money"
    REFUND = "refund"
    KEEP_BOOKS = "keep_books"
    SET_LIMITS = "set_limits"
    # Who pays for whose meals: whose names is a setting's besides.
    FUNDING = "funding"
    # What is to be cooked, for how many, and what they must not eat.
    COOK = "cook"
    SEE_TARIFFS = "see_tariffs"
    DRAFT_TARIFFS = "draft_tariffs"
    APPROVE_TARIFFS = "approve_tariffs"
    SEE_PROVIDERS = "see_providers"
    KEEP_PROVIDERS = "keep_providers"
    SEE_TERMINALS = "see_terminals"
    KEEP_TERMINALS = "keep_terminals"
    # Where somebody was, and why they were charged.
    EXPLAIN = "explain"
    LEND = "lend"
    KEEP_STOCK = "keep_stock"
    CHECK_LEDGER = "check_ledger"
    CLOSE_LEDGER = "close_ledger"
    SEE_SECURITY = "see_security"
    # Messages that could not be posted, decrypted.
    QUARANTINE = "quarantine"
    SEE_STAFF = "see_staff"
    KEEP_STAFF = "keep_staff"
    CERTIFY = "certify"
    SEE_AUDIT = "see_audit"
    # See what waits for a second person; who may agree is who may do the thing.
    SEE_WAITING = "see_waiting"
    # What runs by night.
    UPKEEP = "upkeep"


class Role(StrEnum):
    """What somebody is, for the scheme. Somebody may be several things."""

    ADMINISTRATOR = "administrator"
    ISSUER = "issuer"
    DESK = "desk"
    FINANCE = "finance"
    # Of one provider, whose things alone they see.
    PROVIDER = "provider"
    KITCHEN = "kitchen"
    AUDITOR = "auditor"
    # Not a person: the account under which the machine does its nightly work.
    OPERATOR = "operator"


_R = Right
RIGHTS: Mapping[Role, frozenset[Right]] = {
    # Keeps accounts and machines; sees nobody's money, meals or journeys.
    Role.ADMINISTRATOR: frozenset(
        {
            *(_R.SEE_STAFF, _R.KEEP_STAFF, _R.SEE_AUDIT, _R.SEE_WAITING, _R.CERTIFY, _R.SEE_SECURITY),
            *(_R.SEE_PROVIDERS, _R.KEEP_PROVIDERS, _R.SEE_TERMINALS, _R.KEEP_TERMINALS, _R.SEE_TARIFFS),
            *(_R.SEE_CARDS, _R.REVOKE_CARDS, _R.KEEP_STOCK),
        }
    ),
    Role.ISSUER: frozenset(
        {
            *(_R.SEE_CARDS, _R.ISSUE_CARDS, _R.REVIEW_CARDS, _R.STOP_CARDS, _R.REVOKE_CARDS),
            _R.SEE_WAITING,
            *(_R.SEE_PEOPLE, _R.KEEP_PEOPLE, _R.SEE_PROTECTED, _R.ERASE_PEOPLE),
        }
    ),
    Role.DESK: frozenset(
        {
            *(_R.SEE_CARDS, _R.STOP_CARDS, _R.SEE_PEOPLE, _R.SEE_MONEY, _R.TAKE_MONEY, _R.REFUND),
            *(_R.SET_LIMITS, _R.LEND, _R.SEE_TARIFFS, _R.SEE_WAITING),
        }
    ),
    Role.FINANCE: frozenset(
        {
            *(_R.SEE_MONEY, _R.TAKE_MONEY, _R.REFUND, _R.KEEP_BOOKS, _R.EXPLAIN, _R.SEE_WAITING),
            *(_R.SEE_TARIFFS, _R.DRAFT_TARIFFS, _R.APPROVE_TARIFFS, _R.SEE_PROVIDERS),
            *(_R.CHECK_LEDGER, _R.CLOSE_LEDGER, _R.QUARANTINE, _R.FUNDING),
        }
    ),
    Role.PROVIDER: frozenset({_R.SEE_PROVIDERS, _R.SEE_TERMINALS}),
    # Menus and their prices, for somebody else to approve.
    Role.KITCHEN: frozenset({_R.COOK, _R.SEE_TARIFFS, _R.DRAFT_TARIFFS}),
    # Reads what was done, and of persons nothing.
    Role.AUDITOR: frozenset(
        {
            *(_R.SEE_CARDS, _R.SEE_MONEY, _R.SEE_TARIFFS, _R.SEE_PROVIDERS, _R.SEE_TERMINALS, _R.EXPLAIN),
            *(_R.CHECK_LEDGER, _R.SEE_SECURITY, _R.SEE_STAFF, _R.SEE_AUDIT, _R.SEE_WAITING),
        }
    ),
    Role.OPERATOR: frozenset({_R.UPKEEP, _R.REVIEW_CARDS, _R.CHECK_LEDGER, _R.CLOSE_LEDGER}),
}


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """What somebody with these roles may do."""
    return frozenset[Right]().union(*(RIGHTS[role] for role in roles))
