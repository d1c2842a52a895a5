"""Limits that a payer sets for a cardholder, or for all of its cardholders together.

A limit is never changed: a later one under the same rule takes its place from its own date on, so that a
decision can still be explained by the one that was known when it was made.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from cardservice.database import truncated
from cardservice.ids import CardholderId, PayerId, new_id
from cardservice.ledger.errors import PayerUnknown
from cardservice.ledger.models import payer_limit
from cardservice.ledger.payers import payer_at, payers_of, touch_payers, touch_payers_of

# What stands for a limit's amount where a service as a whole is switched, under its own name as the rule.
SWITCHED_OFF, SWITCHED_ON = 0, 1


@dataclass(frozen=True, slots=True)
class NewLimit:
    """A limit to set; without a cardholder, for all of the payer's together. 0 allows nothing."""

    payer_id: PayerId
    cardholder_id: CardholderId | None
    rule: str
    amount_minor: int


def set_limit(connection: Connection, new: NewLimit, valid_from: datetime, moment: datetime) -> None:
    """Store a limit that holds from `valid_from` on, and change the payer's version.

    Nothing that was decided without it is posted after it. Raises PayerUnknown.
    """
    touch_payers(connection, [new.payer_id])
    _store(connection, new, valid_from, moment)


def switch_service(
    connection: Connection, holder: CardholderId, service: str, *, on: bool, moment: datetime
) -> None:
    """Switch a service off or on for a cardholder, from now on and whoever pays for them.

    Changes the versions of all payers that the cardholder has: nothing that was decided before it is posted
    after it. Raises PayerUnknown.
    """
    touch_payers_of(connection, holder)
    payer_id = payer_at(connection, holder, moment)
    if payer_id is None:
        raise PayerUnknown(f"nobody pays for {holder}; assign a payer first")
    new = NewLimit(payer_id, holder, service, SWITCHED_ON if on else SWITCHED_OFF)
    _store(connection, new, moment, moment)


def is_switched_off(connection: Connection, holder: CardholderId, service: str, moment: datetime) -> bool:
    """Whether the latest that holds at a moment has switched a service off for a cardholder."""
    own = payer_limit.c
    latest = (
        select(own.amount_minor)
        .where(own.payer_id.in_(payers_of(connection, holder)), own.valid_from <= moment)
        .where(own.cardholder_id == holder, own.rule == service)
        # Of two in one moment the later: ids are in the order in which they were made.
        .order_by(own.valid_from.desc(), own.recorded_at.desc(), own.id.desc())
        .limit(1)
    )
    return connection.execute(latest).scalar() == SWITCHED_OFF


def _store(connection: Connection, new: NewLimit, valid_from: datetime, moment: datetime) -> None:
    connection.execute(
        insert(payer_limit).values(
            payer_id=new.payer_id,
            id=new_id(),
            cardholder_id=new.cardholder_id,
            rule=new.rule,
            amount_minor=new.amount_minor,
            valid_from=truncated(valid_from),
            recorded_at=truncated(moment),
        )
    )
