"""Families: who acts for whose children, a payer for several people, and who pays from when on."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.cardholders.asking import Asked, Child, family_of, require_asker
from cardservice.cardholders.details import Noting
from cardservice.cardholders.guardians import Guardianship, May, guardians_of
from cardservice.ids import CardholderId, PayerId
from cardservice.ledger.errors import PayerUnknown, no_payer
from cardservice.ledger.payers import Assignment, assign_payer, assignments, create_payer, history_of
from cardservice.ledger.reading import read_payers
from cardservice.ledger.values import PayerView

_SEEN = "cardholder.guardians"


def show_guardians(connection: Connection, noting: Noting) -> tuple[Guardianship, ...]:
    """Who may act for a child and who is barred, also what ended; that it was read is noted of all."""
    found = guardians_of(connection, noting.kek, noting.holder)
    for concerned in dict.fromkeys((noting.holder, *(each.person_id for each in found))):
        record(connection, noting.actor, _SEEN, concerned, noting.moment)
    return found


def show_family(connection: Connection, asked: Asked, person: CardholderId) -> tuple[Child, ...]:
    """For whom a person may act today, and who pays for each; that it was read is noted of all."""
    found = family_of(connection, asked, person)
    for concerned in (person, *(each.guardianship.child_id for each in found)):
        record(connection, asked.actor, _SEEN, concerned, asked.moment)
    return found


def add_payer(
    connection: Connection, kind: Literal["person", "family"], currency: str, *, actor: str, moment: datetime
) -> PayerId:
    """Make a payer with empty accounts, who pays for nobody yet."""
    made = create_payer(connection, kind, currency, moment)
    record(connection, actor, "payer.add", made, moment, kind=kind)
    return made


def change_payer(
    connection: Connection,
    asked: Asked,
    holder: CardholderId,
    payer: PayerId,
    *,
    since: datetime | None = None,
    asked_by: UUID | None = None,
) -> datetime:
    """Let a payer pay for somebody, from now on or from a later moment; since when that is.

    Raises PayerUnknown, BackdatedPayer, and what `require_asker` does of whoever asks.
    """
    if asked_by is not None:
        require_asker(connection, asked, holder, asked_by, May.PAY)
    begins = asked.moment if since is None else since
    assign_payer(connection, holder, payer, begins, asked.moment)
    record(connection, asked.actor, "payer.assign", holder, asked.moment, payer=str(payer))
    return begins


def show_payer(
    connection: Connection, payer: PayerId, *, actor: str, moment: datetime
) -> tuple[PayerView, tuple[Assignment, ...]]:
    """A payer's accounts, and for whom it has paid, pays and will; noted as read. Raises PayerUnknown."""
    view = read_payers(connection, (payer,)).get(payer)
    if view is None:
        raise PayerUnknown(no_payer(payer))
    record(connection, actor, "payer.show", payer, moment)
    return view, assignments(connection, payer)


def show_payers(
    connection: Connection, holder: CardholderId, *, actor: str, moment: datetime
) -> tuple[Assignment, ...]:
    """Who has paid for somebody, pays and will, the first first; noted as read."""
    record(connection, actor, "payer.history", holder, moment)
    return history_of(connection, holder)
