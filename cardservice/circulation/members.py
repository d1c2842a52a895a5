"""Members: who may borrow, what keeps them from it, and their PINs."""

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, Text, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from cardservice.audit.service import record
from cardservice.cardholders.models import cardholder, record_field
from cardservice.cardholders.records import opened_name
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import require_cardholder
from cardservice.circulation.errors import LendingRefused, MemberUnknown
from cardservice.circulation.models import history, member
from cardservice.circulation.pins import Pins, Tries
from cardservice.circulation.system import Pin
from cardservice.errors import AlreadyExists
from cardservice.ids import CardholderId
from cardservice.ledger.key_ring import KeyRing
from cardservice.ledger.models import cardholder_key
from cardservice.ledger.privacy import StoredKey

# Ours: what a scanner reads, and SIP2 can carry.
_BARCODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.$/-]{0,39}")


def barcode_fits(text: str) -> bool:
    """Whether a member's or a copy's number may look so."""
    return _BARCODE.fullmatch(text) is not None


def join(
    connection: Connection, holder: CardholderId, barcode: str, pin: str | None, *, by: str, moment: datetime
) -> None:
    """Make a cardholder a member; `pin` is as `Pins.stored` wrote it.

    Raises CardholderUnknown, AlreadyExists and LendingRefused.
    """
    if not barcode_fits(barcode):
        raise LendingRefused("barcode_unfit", f"{barcode[:50]!r} is no number that a scanner could read")
    require_cardholder(connection, holder)
    try:
        with connection.begin_nested():
            connection.execute(
                insert(member).values(
                    cardholder_id=holder, barcode=barcode, pin=pin, keeps_history=False, joined_at=moment
                )
            )
    except IntegrityError as error:
        raise AlreadyExists("member", barcode) from error
    record(connection, by, "lending.join", holder, moment)


def locked_member(connection: Connection, barcode: str) -> Row[*tuple[object, ...]]:
    """A member with their category, held to the end of the transaction. Raises MemberUnknown."""
    row = connection.execute(_LOCKED, {"barcode": barcode}).one_or_none()
    if row is None:
        raise MemberUnknown(barcode)
    return row


def find_member(connection: Connection, barcode: str) -> Row[*tuple[object, ...]] | None:
    """A member with their category, or None."""
    return connection.execute(_FOUND, {"barcode": barcode}).one_or_none()


def find_reader(connection: Connection, barcode: str) -> Row[*tuple[object, ...]] | None:
    """The same with their name as it is sealed, for `reader_name`."""
    return connection.execute(_NAMED, {"barcode": barcode}).one_or_none()


def reader_name(kek: KeyRing, found: Row[*tuple[object, ...]]) -> str:
    """A member's name; empty where there is none any more."""
    if found.sealed is None or found.wrapped is None:
        return ""
    key = StoredKey(found.key_id, found.kek_version, found.wrapped)
    return opened_name(kek, key, CardholderId(found.cardholder_id), found.sealed)


def check_pin(
    connection: Connection,
    pins: Pins,
    found: Row[*tuple[object, ...]] | None,
    pin: str | None,
    moment: datetime,
) -> Pin:
    """What comes of a PIN for a member, which is counted where it is wrong. An unknown one's is wrong, too.

    `connection` is a turn's: what it holds is given up before a PIN that was not seen yet is looked at.
    """
    if pin is None:
        return Pin.NOT_GIVEN
    tries = Tries(0, None) if found is None else Tries(found.wrong_pins, found.locked_until)
    if tries.locked(moment):
        return Pin.LOCKED
    if not pin:
        # No try, either: machines that ask for none send it.
        return Pin.WRONG
    stored = None if found is None else found.pin
    if not pins.has_seen(pin, stored):
        # It takes a while, and that on purpose: nobody is to wait for it.
        connection.commit()
    right = pins.is_right(pin, stored)
    if found is None or (right and tries.wrong == 0):
        return Pin.RIGHT if right else Pin.WRONG
    held = locked_member(connection, found.barcode)
    now = Tries(held.wrong_pins, held.locked_until)
    if now.locked(moment):
        return Pin.LOCKED
    after = Tries(0, None) if right else now.after_wrong(moment)
    connection.execute(
        update(member)
        .where(member.c.barcode == found.barcode)
        .values(wrong_pins=after.wrong, locked_until=after.locked_until)
    )
    return Pin.RIGHT if right else Pin.WRONG


def set_pin(connection: Connection, barcode: str, pin: str, *, by: str, moment: datetime) -> None:
    """Keep another PIN, as `Pins.stored` wrote it; what was locked is open. Raises MemberUnknown."""
    found = locked_member(connection, barcode)
    values = {"pin": pin, "wrong_pins": 0, "locked_until": None}
    connection.execute(update(member).where(member.c.barcode == barcode).values(values))
    record(connection, by, "lending.pin", found.cardholder_id, moment)


def set_barred(connection: Connection, barcode: str, *, barred: bool, by: str, moment: datetime) -> None:
    """Keep a member from borrowing, or let them again. Raises MemberUnknown."""
    found = locked_member(connection, barcode)
    values = {"barred_by": by if barred else None}
    connection.execute(update(member).where(member.c.barcode == barcode).values(values))
    record(connection, by, "lending.bar" if barred else "lending.unbar", found.cardholder_id, moment)


def set_history(connection: Connection, barcode: str, *, keep: bool, by: str, moment: datetime) -> None:
    """Keep what a member reads from now on, as they wish, or forget all of it. Raises MemberUnknown."""
    found = locked_member(connection, barcode)
    connection.execute(update(member).where(member.c.barcode == barcode).values(keeps_history=keep))
    if not keep:
        overwrite(connection)
        connection.execute(delete(history).where(history.c.cardholder_id == found.cardholder_id))
    action = "lending.keep_history" if keep else "lending.forget_history"
    record(connection, by, action, found.cardholder_id, moment)


def shown_history(
    connection: Connection, holder: CardholderId, *, by: str, moment: datetime
) -> Sequence[Row[*tuple[object, ...]]]:
    """`history_of`, noted as having been read by somebody."""
    record(connection, by, "lending.history", holder, moment)
    return history_of(connection, holder)


def history_of(connection: Connection, holder: CardholderId) -> Sequence[Row[*tuple[object, ...]]]:
    """What a member has read since they asked to have it kept, the latest first."""
    wanted = select(history.c.title, history.c.lent_on, history.c.returned_on)
    return connection.execute(
        wanted.where(history.c.cardholder_id == holder).order_by(history.c.returned_on.desc(), history.c.id)
    ).all()


def overwrite(connection: Connection) -> None:
    """What is deleted is overwritten in SQLite's file, too."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


# Built once, as those of `standing`.
_JOINED = member.join(cardholder, cardholder.c.id == member.c.cardholder_id)
_THEIRS = member.c.barcode == bindparam("barcode", type_=Text())
_FOUND = select(member, cardholder.c.category).select_from(_JOINED).where(_THEIRS)
_LOCKED = _FOUND.with_for_update(of=member)
_NAMED = (
    select(
        member,
        cardholder.c.category,
        record_field.c.sealed,
        cardholder_key.c.id.label("key_id"),
        cardholder_key.c.kek_version,
        cardholder_key.c.wrapped,
    )
    .select_from(
        _JOINED.outerjoin(
            record_field,
            (record_field.c.cardholder_id == member.c.cardholder_id) & (record_field.c.field == Field.NAME),
        ).outerjoin(cardholder_key, cardholder_key.c.cardholder_id == member.c.cardholder_id)
    )
    .where(_THEIRS)
)
