"""What a decision looked at, as it is kept with the details; and back: the case, as it was to be judged.

The ledger's row, the details and this are all that the rules saw. It is kept once, with as little of the
person as they looked at: whose a counter or a limit is stands as 0 for the card's holder, as 1, 2, … for the
payer's others, and as null for a limit of all of them; no card and no cardholder is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from cardservice.authorisation.case import Case, Verdict
from cardservice.authorisation.facts import Facts
from cardservice.authorisation.found import Found
from cardservice.authorisation.judging import judged_at
from cardservice.authorisation.messages import CardMessage
from cardservice.authorisation.proofs import CheckedProof
from cardservice.authorisation.reasons import Flag, Reason
from cardservice.cards.service import Card, StateChange
from cardservice.cards.states import CardState
from cardservice.ids import CardholderId, CardId, PayerId, ProviderId, TerminalId, TransactionId
from cardservice.ledger.values import (
    AccountView,
    CounterView,
    Decision,
    KnownTransaction,
    LimitView,
    PayerView,
)
from cardservice.services.seam import Entitlement, Service
from cardservice.terminals.service import Terminal
from pki.statements import SignedStatement, StatementKind, TransactionStatement

# Ours: the version of what `seen_of` makes.
VERSION = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Of a transfer: debited, credited, how much, in which unit.
Move = tuple[str, str, int, str]
# The holder, where persons are numbers.
_HOLDER = 0
# What the rules do not look at, and what is therefore not kept.
_NO_CARD, _NO_PAYER = CardId(UUID(int=0)), PayerId(UUID(int=0))
_NO_HMAC, _NO_NONCE = bytes(32), bytes(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDecision:
    """A stored statement: its row in the ledger, its details, and what was seen when it was decided."""

    id: TransactionId
    kind: str
    decision: Decision
    reason: str
    amount_minor: int | None
    unit: str
    service: str
    action: str
    terminal_id: TerminalId
    provider_id: ProviderId
    tariff_version: str | None
    offline: bool
    flags: tuple[str, ...]
    replaces: TransactionId | None
    duplicate_of: TransactionId | None
    occurred_at: datetime
    posted_at: datetime
    details: Mapping[str, Any]
    answer: Mapping[str, Any]
    transfers: tuple[Move, ...]

    @property
    def seen(self) -> Mapping[str, Any]:
        """What `seen_of` made."""
        seen: Mapping[str, Any] = self.answer["seen"]
        return seen


def seen_of(case: Case, verdict: Verdict) -> dict[str, Any]:
    """What the verdict was reached by, as JSON: what the ledger's row and the details do not say already."""
    statement, card, proof = case.message.signed.statement, case.facts.card, case.proof
    holder = card.cardholder_id
    tariff = case.facts.found.tariff
    persons = {holder: _HOLDER}
    seen: dict[str, Any] = {
        "v": VERSION,
        "amount": statement.amount_minor,
        "tariff": None if tariff is None else tariff.version,
        "card": [card.kind, card.category, card.expires_on.isoformat(), card.state_at(judged_at(case))],
        "certificate": [
            _ms(proof.not_before),
            _ms(proof.not_after),
            None if proof.certificate_revoked_at is None else _ms(proof.certificate_revoked_at),
        ],
        "offline_limit": case.terminal.offline_limit_minor,
        "accounts": [
            [account.kind, account.unit, account.balance, account.floor]
            for account in case.view.accounts
            # What is on a card is the card's to say, and would name it.
            if not account.card_id
        ],
    }
    if verdict.day is not None:
        seen["day"] = verdict.day
    if statement.currency != case.currency:
        seen["currency"] = statement.currency
    if not case.message.is_advice:
        seen["fresh"] = case.nonce_is_fresh
    if verdict.looked_at:
        seen["counters"] = [
            [
                persons.setdefault(counter.cardholder_id, len(persons)),
                counter.rule,
                counter.period,
                counter.used,
            ]
            for counter in verdict.looked_at
        ]
    if case.allergens:
        seen["allergens"] = sorted(case.allergens)
    if case.entitlements:
        seen["entitlements"] = [
            [
                each.programme,
                each.year,
                each.first_day.isoformat(),
                each.review_on.isoformat(),
                _ms(each.recorded_at),
            ]
            for each in case.entitlements
        ]
    # The holder's switches are theirs, also those that lie with another payer.
    elsewhere = [switch for switch in case.switches if switch not in case.view.limits]
    if case.view.limits or elsewhere:
        seen["limits"] = [
            [
                None if limit.cardholder_id is None else _HOLDER,
                limit.rule,
                limit.amount_minor,
                _ms(limit.valid_from),
                _ms(limit.recorded_at),
            ]
            for limit in (*elsewhere, *case.view.limits)
            if limit.cardholder_id in (None, holder)
        ]
    if verdict.reason == Reason.RESOURCE_TAKEN or Flag.RESOURCE_TAKEN in verdict.flags:
        # Judged before it was known that there was none left.
        seen["taken"] = True
    if (replaced := case.replaced) is not None:
        first = None if replaced.duplicate_of is None else str(replaced.duplicate_of)
        seen["replaced"] = [replaced.decision, replaced.stands, first]
    return seen


def case_of(stored: StoredDecision, service: Service, tariff: object | None) -> Case:
    """The case again, as it was judged; what no rule looks at is blank."""
    seen = stored.seen
    replaced = _replaced(stored)
    view = PayerView(
        _NO_PAYER,
        0,
        tuple(
            AccountView(kind, "", "", unit, balance, floor) for kind, unit, balance, floor in seen["accounts"]
        ),
        tuple(
            CounterView(_person(number), rule, period, used)
            for number, rule, period, used in seen.get("counters", ())
        ),
        tuple(
            LimitView(
                None if number is None else _person(number),
                rule,
                amount_minor,
                _moment(valid_from),
                _moment(recorded_at),
            )
            for number, rule, amount_minor, valid_from, recorded_at in seen.get("limits", ())
        ),
    )
    card = _card(stored)
    not_before, not_after, revoked_at = seen["certificate"]
    return Case(
        message=_message(stored),
        terminal=Terminal(
            id=stored.terminal_id,
            provider_id=stored.provider_id,
            role="",
            offline_limit_minor=seen["offline_limit"],
            certificate_der=b"",
            revoked_at=None,
        ),
        facts=Facts(
            moment=stored.posted_at,
            card=card,
            payer_id=_NO_PAYER,
            views={_NO_PAYER: view},
            known={} if replaced is None else {replaced.id: replaced},
            found=_nothing_found(card, view),
        ),
        proof=CheckedProof(
            certificate_sha256=b"",
            issuer="",
            not_before=_moment(not_before),
            not_after=_moment(not_after),
            certificate_revoked_at=None if revoked_at is None else _moment(revoked_at),
        ),
        nonce_is_fresh=bool(seen.get("fresh", False)),
        service=service,
        tariff=tariff,
        currency=stored.unit,
        timezone="UTC",
        day_kept=seen.get("day"),
        allergens=frozenset(seen.get("allergens", ())),
    )


def _message(stored: StoredDecision) -> CardMessage:
    kind = StatementKind[stored.kind.upper()]
    statement = TransactionStatement(
        scheme="explained",
        id=stored.id,
        terminal=stored.terminal_id,
        sequence=0,
        card=_NO_CARD,
        kind=kind,
        service=stored.service,
        action=stored.action,
        amount_minor=stored.seen["amount"],
        currency=stored.seen.get("currency", stored.unit),
        tariff_version=stored.tariff_version,
        offline=stored.offline,
        details_hmac=_NO_HMAC,
        time=stored.occurred_at,
        nonce=_NO_NONCE if kind is StatementKind.REQUEST else None,
        replaces=stored.replaces,
    )
    return CardMessage(SignedStatement(b"", b"", statement, b"", None), stored.details, b"")


def _card(stored: StoredDecision) -> Card:
    kind, category, expires_on, state = stored.seen["card"]
    return Card(
        id=_NO_CARD,
        cardholder_id=_person(_HOLDER),
        kind=kind,
        expires_on=date.fromisoformat(expires_on),
        category=category,
        # In force at the one moment that counts, whichever it was.
        states=(StateChange(CardState(state), datetime.min.replace(tzinfo=UTC), ""),),
        entitlements=tuple(
            Entitlement(
                service=stored.service,
                programme=programme,
                year=year,
                first_day=date.fromisoformat(first_day),
                review_on=date.fromisoformat(review_on),
                recorded_at=_moment(recorded_at),
            )
            for programme, year, first_day, review_on, recorded_at in stored.seen.get("entitlements", ())
        ),
    )


def _replaced(stored: StoredDecision) -> KnownTransaction | None:
    if "replaced" not in stored.seen or stored.replaces is None:
        return None
    decision, stands, first = stored.seen["replaced"]
    return KnownTransaction(
        payer_id=_NO_PAYER,
        id=stored.replaces,
        origin="card",
        kind="request",
        body=None,
        terminal_id=stored.terminal_id,
        sequence=None,
        provider_id=None,
        service=None,
        action=None,
        decision=decision,
        reason="",
        amount_minor=None,
        unit=stored.unit,
        tariff_version=None,
        offline=False,
        flags=(),
        replaces=None,
        duplicate_of=None if first is None else TransactionId(UUID(first)),
        annuls=None,
        occurred_at=stored.occurred_at,
        posted_at=stored.posted_at,
        answer=None,
        transfers=(),
        annulled_by=None if stands or decision != "approved" else stored.replaces,
        kept_by=None,
    )


def _nothing_found(card: Card, view: PayerView) -> Found:
    return Found(
        terminal=None,
        card=card,
        certificate=None,
        key=None,
        tariff=None,
        payer_id=view.payer_id,
        views={view.payer_id: view},
        known=frozenset(),
        crl=None,
    )


def _person(number: int) -> CardholderId:
    """Somebody, told from the others by a number."""
    return CardholderId(UUID(int=number + 1))


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
