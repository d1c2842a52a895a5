"""Payers, whose money they are for, and the version that tells that something about them has changed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, Select, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cardservice.bulk import insert_many
from cardservice.cardholders.models import cardholder
from cardservice.database import truncated
from cardservice.ids import CardholderId, PayerId, new_id
from cardservice.ledger.errors import BackdatedPayer, PayerUnknown, no_payer
from cardservice.ledger.locking import lock_states
from cardservice.ledger.models import account, cardholder_payer, payer, payer_state


def create_payer(
    connection: Connection,
    kind: Literal["person", "family"],
    currency: str,
    moment: datetime,
    floor_minor: int = 0,
) -> PayerId:
    """A new payer with its state, an empty `prepaid` account and no arrears, both in `currency`."""
    payer_id = PayerId(new_id())
    connection.execute(insert(payer).values(id=payer_id, kind=kind, created_at=moment))
    connection.execute(insert(payer_state).values(payer_id=payer_id))
    rows = [
        {"payer_id": payer_id, "kind": "prepaid", "unit": currency, "floor": floor_minor},
        {"payer_id": payer_id, "kind": "arrears", "unit": currency, "floor": None},
    ]
    connection.execute(insert(account), rows)
    return payer_id


def open_reserved(connection: Connection, payer_id: PayerId, unit: str) -> None:
    """An empty account for what is set aside of a payer's money, where there is none: few ever need one.

    Nothing that a rule decides by changes, and so the payer's version does not.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = {"payer_id": payer_id, "kind": "reserved", "unit": unit, "floor": 0}
    connection.execute(dialect.insert(account).values(row).on_conflict_do_nothing())


def create_own_payers(
    connection: Connection, holders: Collection[CardholderId], currency: str, moment: datetime
) -> dict[CardholderId, PayerId]:
    """A payer of their own for each of these, who are new: nothing of theirs is held by anybody."""
    made = {holder: PayerId(new_id()) for holder in holders}
    if not made:
        return made
    people = [{"id": payer_id, "kind": "person", "created_at": moment} for payer_id in made.values()]
    insert_many(connection, payer, people)
    # Each at version 1, as after its assignment.
    states = [{"payer_id": payer_id, "version": 1} for payer_id in made.values()]
    insert_many(connection, payer_state, states)
    rows = [
        {"payer_id": payer_id, "kind": kind, "unit": currency, "floor": floor}
        for payer_id in made.values()
        for kind, floor in (("prepaid", 0), ("arrears", None))
    ]
    insert_many(connection, account, rows)
    insert_many(
        connection,
        cardholder_payer,
        [
            {"cardholder_id": holder, "payer_id": payer_id, "valid_from": moment, "recorded_at": moment}
            for holder, payer_id in made.items()
        ],
    )
    return made


def assign_payer(
    connection: Connection,
    cardholder_id: CardholderId,
    payer_id: PayerId,
    valid_from: datetime,
    moment: datetime,
) -> None:
    """From `valid_from` on, at or after `moment`, the payer pays for the cardholder.

    Locks the states of all payers concerned and changes their versions, so that nothing decided before is
    posted after. Raises BackdatedPayer and PayerUnknown.
    """
    valid_from, moment = truncated(valid_from), truncated(moment)
    if valid_from < moment:
        raise BackdatedPayer(f"the change would take effect at {valid_from}, before now")
    # One change of a cardholder's payer at a time: otherwise two would each lock the payers they knew of.
    locked = select(cardholder.c.id).where(cardholder.c.id == cardholder_id).with_for_update()
    if connection.execute(locked).first() is None:
        raise PayerUnknown(f"no cardholder {cardholder_id}")
    history = connection.execute(_history(cardholder_id)).all()
    if history and valid_from <= history[-1].valid_from:
        raise BackdatedPayer(f"the last change takes effect at {history[-1].valid_from}; this must be later")
    touch_payers(connection, {*(PayerId(row.payer_id) for row in history), payer_id})
    connection.execute(
        insert(cardholder_payer).values(
            cardholder_id=cardholder_id, payer_id=payer_id, valid_from=valid_from, recorded_at=moment
        )
    )


def payer_at(connection: Connection, cardholder_id: CardholderId, moment: datetime) -> PayerId | None:
    """Who pays for the cardholder at `moment`; None for a cardholder without a payer.

    A moment before the first assignment counts as that of the first: a terminal's clock may be wrong, and
    what it gave away is posted all the same.
    """
    history = connection.execute(_history(cardholder_id)).all()
    due = [row for row in history if row.valid_from <= moment]
    return PayerId((due[-1] if due else history[0]).payer_id) if history else None


def payers_of(connection: Connection, cardholder_id: CardholderId) -> tuple[PayerId, ...]:
    """Every payer that the cardholder has, has had or will have, the first first."""
    rows = connection.execute(_history(cardholder_id)).all()
    return tuple(dict.fromkeys(PayerId(row.payer_id) for row in rows))


@dataclass(frozen=True, slots=True)
class Assignment:
    """For whom a payer pays, from when on, and until when; that moment is not included any more."""

    cardholder_id: CardholderId
    payer_id: PayerId
    valid_from: datetime
    valid_until: datetime | None


def history_of(connection: Connection, cardholder_id: CardholderId) -> tuple[Assignment, ...]:
    """Who has paid for the cardholder, pays and will, the first first."""
    rows = connection.execute(_history(cardholder_id)).all()
    ends = [row.valid_from for row in rows[1:]] + [None]
    return tuple(
        Assignment(cardholder_id, PayerId(row.payer_id), row.valid_from, end)
        for row, end in zip(rows, ends, strict=True)
    )


def assignments(connection: Connection, payer_id: PayerId) -> tuple[Assignment, ...]:
    """For whom the payer has paid, pays and will."""
    own = cardholder_payer.c
    holders = select(own.cardholder_id).where(own.payer_id == payer_id).distinct().order_by(own.cardholder_id)
    return tuple(
        each
        for holder in connection.execute(holders).scalars()
        for each in history_of(connection, CardholderId(holder))
        if each.payer_id == payer_id
    )


def touch_payers_of(connection: Connection, cardholder_id: CardholderId) -> None:
    """Tell the cardholder's payers that something a rule looks at has changed (a card's status, a limit)."""
    touch_payers(connection, payers_of(connection, cardholder_id))


def touch_payers(connection: Connection, payer_ids: Collection[PayerId]) -> None:
    """Lock these payers' states in key order, to the end of the transaction, and change their versions.

    Raises PayerUnknown.
    """
    if missing := set(payer_ids) - set(lock_states(connection, payer_ids)):
        raise PayerUnknown(no_payer(", ".join(map(str, sorted(missing)))))
    rows = payer_state.c.payer_id.in_(sorted(payer_ids))
    connection.execute(update(payer_state).where(rows).values(version=payer_state.c.version + 1))


def _history(cardholder_id: CardholderId) -> Select[UUID, datetime]:
    return (
        select(cardholder_payer.c.payer_id, cardholder_payer.c.valid_from)
        .where(cardholder_payer.c.cardholder_id == cardholder_id)
        .order_by(cardholder_payer.c.valid_from)
    )
