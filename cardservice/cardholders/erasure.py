"""Erasing a person: nothing that is left leads from them to the ledger, or from the ledger to them.

Their cards are revoked first, by the service as always. What then erases is another role, which may do
nothing but that (`cardservice/grants.py`). What stays: amounts under a payer that is nobody's, proofs that
nobody can read, serials and statuses of certificates, and the audit log, of a pseudonym drawn for it.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, or_, select, update

from cardservice.accounts.models import account_closing
from cardservice.applications.models import application, proof
from cardservice.audit.models import audit, audit_link
from cardservice.audit.service import record
from cardservice.bureau.models import bureau_item
from cardservice.cardholders.models import (
    cardholder,
    cardholder_token,
    guardianship,
    record_field,
    record_read,
)
from cardservice.cardholders.service import require_cardholder
from cardservice.cards.models import (
    card,
    card_activation,
    card_state,
    card_uid,
    loss_report,
    personalisation_order,
    temporary_card,
)
from cardservice.cards.service import AUTHORITY, find_card, revoke_card
from cardservice.cards.states import CardState
from cardservice.circulation.erasing import forget_member, open_loans
from cardservice.context import Context
from cardservice.database import Database, connect
from cardservice.errors import ErasureRefused
from cardservice.funding.models import entitlement
from cardservice.ids import CardholderId, CardId
from cardservice.ledger.erasing import (
    OwnPayer,
    details_kept,
    forget_cards,
    forget_person,
    payers_for_erasure,
    transactions_for_erasure,
)
from cardservice.ledger.payers import touch_payers
from cardservice.pupils.models import import_change
from cardservice.quarantine.sealing import count_held, forget_held
from cardservice.staff.second_person import forget_asked

# Ours: the reason that the revocation list gets: the holder may not use it any more.
_REASON = "withdrawn"


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a person cannot be erased yet; `reason` is a stable code."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What erasing a person comes to, in numbers."""

    cardholder: CardholderId
    cards: tuple[CardId, ...]
    cards_to_revoke: tuple[CardId, ...]
    transactions: int
    details: int
    audit_entries: int
    # Messages that could not be posted, in quarantine
    held_back: int
    objections: tuple[Objection, ...]

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "cardholder": str(self.cardholder),
            "cards": len(self.cards),
            "cards_to_revoke": len(self.cards_to_revoke),
            "transactions": self.transactions,
            "details": self.details,
            "audit_entries": self.audit_entries,
            "held_back": self.held_back,
            "objections": [{"reason": each.reason, "message": each.message} for each in self.objections],
        }


def plan_erasure(connection: Connection, holder: UUID, moment: datetime) -> Plan:
    """What would go, and what stands against it. Raises CardholderUnknown."""
    person = require_cardholder(connection, holder)
    cards = _cards(connection, person)
    payers = payers_for_erasure(connection, person, moment)
    transactions = transactions_for_erasure(connection, person, payers)
    subjects = select(audit.c.id).where(audit.c.subject.in_(_subjects(person, cards)))
    return Plan(
        cardholder=person,
        cards=tuple(cards),
        cards_to_revoke=tuple(each for each in cards if _stands(connection, each)),
        transactions=sum(map(len, transactions.values())),
        details=details_kept(connection, transactions),
        audit_entries=len(connection.execute(subjects).all()),
        held_back=count_held(connection, person),
        objections=(*_objections(payers), *_on_loan(connection, person)),
    )


def erase_cardholder(context: Context, holder: UUID, *, actor: str) -> Plan:
    """Revoke a person's cards and erase the person; what it came to.

    Broken off between the two, it is taken up by doing it again. Raises CardholderUnknown and ErasureRefused.
    """
    with context.database.begin() as connection:
        plan = plan_erasure(connection, holder, context.now())
        _require_no(plan.objections)
        authority = context.authority(AUTHORITY, connection)
        for each in plan.cards_to_revoke:
            revoke_card(connection, authority, each, reason=_REASON, actor=actor, moment=context.now())
    with eraser(context) as database, database.begin() as connection:
        return _erase(context, connection, holder, actor)


@contextmanager
def eraser(context: Context) -> Iterator[Database]:
    """The database as the role that may erase."""
    settings = context.settings
    database = connect(settings.erasure_database_url or settings.owner_database_url, pool_size=1)
    try:
        yield database
    finally:
        database.dispose()


def _erase(context: Context, connection: Connection, holder: UUID, actor: str) -> Plan:
    if connection.dialect.name == "sqlite":
        # What is deleted is overwritten in the file, too.
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    moment = context.now()
    # In the order of an assignment of payers: the person, then the payers.
    connection.execute(select(cardholder.c.id).where(cardholder.c.id == holder).with_for_update())
    person = require_cardholder(connection, holder)
    touch_payers(connection, {each.id for each in payers_for_erasure(connection, person, moment)})
    # Looked at again: only now nothing can be posted in between.
    plan = plan_erasure(connection, holder, moment)
    _require_no(plan.objections)
    payers = payers_for_erasure(connection, person, moment)
    theirs = transactions_for_erasure(connection, person, payers)
    # Found by the person's key, which is still the person's.
    forget_held(connection, context.keys.cardholder_kek, person, plan.cards)
    forget_person(connection, person, theirs, moment, context.scheme.id, context.keys)
    # It names the card that was ordered by it.
    connection.execute(delete(application).where(application.c.cardholder_id == person))
    _forget_cards(context, connection, plan.cards, moment)
    forget_member(connection, person)
    own = (record_field, cardholder_token, record_read, import_change, entitlement, proof, account_closing)
    for table in own:
        connection.execute(delete(table).where(table.c.cardholder_id == person))
    # The others keep their records, and say nothing of this person any more.
    concerned = or_(guardianship.c.child_id == person, guardianship.c.person_id == person)
    connection.execute(delete(guardianship).where(concerned))
    connection.execute(delete(cardholder).where(cardholder.c.id == person))
    _forget_in_audit(connection, plan, actor, moment)
    return plan


def _forget_cards(
    context: Context, connection: Connection, cards: Sequence[CardId], moment: datetime
) -> None:
    authority = context.authority(AUTHORITY, connection)
    for each in cards:
        authority.erase(str(each), new_pseudonym(), moment)
    forget_cards(connection, cards)
    forget_asked(connection, cards)
    orders = select(personalisation_order.c.id).where(personalisation_order.c.card_id.in_(cards))
    connection.execute(delete(bureau_item).where(bureau_item.c.order_id.in_(orders)))
    for table in (card_state, card_uid, card_activation, personalisation_order, temporary_card, loss_report):
        connection.execute(delete(table).where(table.c.card_id.in_(cards)))
    connection.execute(delete(card).where(card.c.id.in_(cards)))


def _forget_in_audit(connection: Connection, plan: Plan, actor: str, moment: datetime) -> None:
    """Who did what stays; to whom becomes one pseudonym, so that what belongs together still does."""
    pseudonym = new_pseudonym()
    subjects = _subjects(plan.cardholder, plan.cards)
    about = audit.c.subject.in_(subjects)
    # Without its salt nobody can try out whom an entry was about; the chain holds as it is.
    entries = select(audit.c.id).where(about)
    connection.execute(update(audit_link).where(audit_link.c.audit_id.in_(entries)).values(salt=None))
    connection.execute(update(audit).where(about).values(subject=pseudonym))
    record(
        connection,
        actor,
        "cardholder.erase",
        pseudonym,
        moment,
        cards=len(plan.cards),
        transactions=plan.transactions,
        details=plan.details,
    )


def _objections(payers: Sequence[OwnPayer]) -> Iterator[Objection]:
    for own in payers:
        if own.is_current and own.kind == "family":
            # Its guardians pay in for this person: they are asked first, by whoever ends that.
            message = f"the family {own.id} pays for this person; let another payer pay for them first"
            yield Objection("family_pays", message)
        elif not own.is_shared:
            for unit, kind, balance in own.open:
                what = f"{kind} of payer {own.id} is {balance} in minor units of {unit}"
                yield Objection("balance_open", f"{what}; pay it out or settle it first")


def _on_loan(connection: Connection, holder: CardholderId) -> Iterator[Objection]:
    if count := open_loans(connection, holder):
        yield Objection("things_on_loan", f"{count} things are on loan to this person; take them back first")


def _require_no(objections: Sequence[Objection]) -> None:
    if objections:
        raise ErasureRefused(objections[0].reason, "; ".join(each.message for each in objections))


def _cards(connection: Connection, holder: CardholderId) -> list[CardId]:
    rows = connection.execute(select(card.c.id).where(card.c.cardholder_id == holder).order_by(card.c.id))
    return [CardId(row.id) for row in rows]


def _stands(connection: Connection, card_id: CardId) -> bool:
    found = find_card(connection, card_id)
    return found is not None and found.state is not CardState.REVOKED


def _subjects(holder: CardholderId, cards: Sequence[CardId]) -> list[str]:
    return [str(holder), *map(str, cards)]


def new_pseudonym() -> str:
    """What takes the place of a person who is nobody any more."""
    return f"erased:{secrets.token_hex(16)}"
