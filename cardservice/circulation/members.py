"""Members: who may borrow, what keeps them from it, and their PINs."""

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from cardservice.audit.service import record
from cardservice.cardholders.models import cardholder
from cardservice.cardholders.service import require_cardholder
from cardservice.circulation.errors import LendingRefused, MemberUnknown
from cardservice.circulation.fines import owed_minor
from cardservice.circulation.models import copy, history, hold, loan, member, title
from cardservice.circulation.pins import Pins, Tries
from cardservice.circulation.system import OnLoan, Pin, Waiting
from cardservice.circulation.terms import TermsInForce, lending_service
from cardservice.context import Context
from cardservice.errors import AlreadyExists
from cardservice.ids import CardholderId
from cardservice.ledger.limits import is_switched_off
from cardservice.services.lending import Borrower

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
    own = member.c
    connection.execute(select(own.cardholder_id).where(own.barcode == barcode).with_for_update())
    row = find_member(connection, barcode)
    if row is None:
        raise MemberUnknown(barcode)
    return row


def find_member(connection: Connection, barcode: str) -> Row[*tuple[object, ...]] | None:
    """A member with their category, or None."""
    joined = member.join(cardholder, cardholder.c.id == member.c.cardholder_id)
    wanted = select(member, cardholder.c.category).select_from(joined)
    return connection.execute(wanted.where(member.c.barcode == barcode)).one_or_none()


def borrower_of(
    context: Context,
    connection: Connection,
    found: Row[*tuple[object, ...]],
    terms: TermsInForce,
    moment: datetime,
) -> Borrower:
    """What the rules may know of a member, as of now."""
    service = lending_service(context.services)
    today = service.local_day(moment, terms.tariff)
    holder = CardholderId(found.cardholder_id)
    loans = connection.execute(
        select(loan.c.item_class, loan.c.due_on).where(loan.c.cardholder_id == holder)
    ).all()
    holds = select(func.count()).select_from(hold).where(hold.c.cardholder_id == holder)
    return Borrower(
        category=found.category,
        on_loan=tuple(sorted(row.item_class for row in loans)),
        overdue=sum(row.due_on < today for row in loans),
        owed_minor=owed_minor(connection, service, holder),
        holds=connection.execute(holds).scalar_one(),
        barred=found.barred_by is not None,
        off=is_switched_off(connection, holder, service.name, moment),
    )


def what_they_have(connection: Connection, holder: CardholderId, today: object) -> tuple[OnLoan, ...]:
    """A member's loans, what is due first first."""
    joined = loan.join(copy, copy.c.barcode == loan.c.copy).join(title, title.c.id == copy.c.title_id)
    rows = connection.execute(
        select(loan.c.copy, loan.c.due_on, title.c.name)
        .select_from(joined)
        .where(loan.c.cardholder_id == holder)
        .order_by(loan.c.due_on, loan.c.copy)
    ).all()
    return tuple(
        OnLoan(copy=row.copy, title=row.name, due_on=row.due_on, overdue=row.due_on < today) for row in rows
    )


def what_they_wait_for(connection: Connection, holder: CardholderId) -> tuple[Waiting, ...]:
    """A member's holds, the oldest first."""
    rows = connection.execute(
        select(hold.c.copy, hold.c.kept_until, title.c.name)
        .select_from(hold.join(title, title.c.id == hold.c.title_id))
        .where(hold.c.cardholder_id == holder)
        .order_by(hold.c.number)
    ).all()
    return tuple(Waiting(title=row.name, copy=row.copy, kept_until=row.kept_until) for row in rows)


def check_pin(context: Context, pins: Pins, barcode: str, pin: str | None) -> Pin:
    """What comes of a PIN, which is counted where it is wrong. An unknown member's is wrong, too."""
    if pin is None:
        return Pin.NOT_GIVEN
    moment = context.now()
    with context.database.reading() as connection:
        found = find_member(connection, barcode)
    tries = Tries(0, None) if found is None else Tries(found.wrong_pins, found.locked_until)
    if tries.locked(moment):
        return Pin.LOCKED
    # Not under a lock: it takes a while, and that on purpose.
    right = pins.is_right(pin, None if found is None else found.pin)
    if found is None or (right and tries.wrong == 0):
        return Pin.RIGHT if right else Pin.WRONG
    with context.database.begin() as connection:
        held = locked_member(connection, barcode)
        now = Tries(held.wrong_pins, held.locked_until)
        if now.locked(moment):
            return Pin.LOCKED
        # An empty one is no try: machines that ask for none send it.
        after = Tries(0, None) if right else (now.after_wrong(moment) if pin else now)
        connection.execute(
            update(member)
            .where(member.c.barcode == barcode)
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
