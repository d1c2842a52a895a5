"""Stock of blank cards: places, deliveries, movements and counting.

A movement is inserted and never changed; the database adds the movements up to the counts, and refuses one
that would leave less than nothing. So what somebody got wrong is put right by another movement.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cardservice.audit.service import record
from cardservice.blanks.errors import DeliveryRefused, StockTooLow
from cardservice.blanks.models import (
    blank_delivery,
    blank_desk,
    blank_movement,
    blank_place,
    blank_stock,
    blank_stocktake,
)
from cardservice.errors import OrderInvalid
from cardservice.ids import TerminalId, new_id
from cardservice.terminals.models import terminal

# All ours. Of a place's identifier, of a line of text, and of what anybody is supplied with at once.
_PLACE, MAX_LINE, MAX_COUNT = re.compile(r"[a-z][a-z0-9-]{0,31}"), 100, 1_000_000
# ISO/IEC 7812-1, ITU-T E.118: numbers of cards have up to 19 and 20 digits. ISO/IEC 14443-3: a UID, in hex.
_NUMBER = re.compile(r"\d{1,20}")
_UID = re.compile(r"(?:[0-9A-F]{8}|[0-9A-F]{14}|[0-9A-F]{20})")


@dataclass(frozen=True, slots=True)
class By:
    """Who moves something, and when."""

    actor: str
    moment: datetime


@dataclass(frozen=True, slots=True)
class Stock:
    """What lies at a place of one kind of blank."""

    place: str
    product: str
    count: int
    low_below: int

    @property
    def is_low(self) -> bool:
        """Whether more is to be ordered."""
        return self.count < self.low_below


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a supplier has brought; numbers as printed on the blanks, where there are some."""

    supplier: str
    product: str
    count: int
    first_number: str | None = None
    last_number: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """What somebody has counted, and what the books said."""

    expected: int
    counted: int

    @property
    def difference(self) -> int:
        """More than expected, or fewer (negative)."""
        return self.counted - self.expected


@dataclass(frozen=True, slots=True)
class _Movement:
    product: str
    # None: from outside, and gone
    source: str | None
    target: str | None
    count: int
    why: str
    note: str
    delivery: UUID | None = None


def add_place(connection: Connection, place: str, name: str, by: By) -> None:
    """Note a place that holds blanks. Raises OrderInvalid."""
    if not _PLACE.fullmatch(place):
        raise OrderInvalid(f"{place[:40]!r} names no place; write it like town-hall")
    if connection.scalar(select(blank_place.c.id).where(blank_place.c.id == place)) is not None:
        raise OrderInvalid(f"there is a place {place} already")
    connection.execute(insert(blank_place).values(id=place, name=_line("the name", name)))
    record(connection, by.actor, "stock.place", place, by.moment)


def places(connection: Connection) -> list[tuple[str, str]]:
    """Places with their names, by identifier; a scheme has few."""
    rows = connection.execute(select(blank_place.c.id, blank_place.c.name).order_by(blank_place.c.id))
    return [(row.id, row.name) for row in rows]


def receive(connection: Connection, delivery: Delivery, place: str, by: By) -> UUID:
    """Take a delivery in at a place; its id. Raises OrderInvalid and DeliveryRefused.

    Where the blanks are numbered, there are as many as the numbers say, and none was delivered before.
    """
    _line("the supplier", delivery.supplier)
    _require_count(delivery.count)
    _open_stock(connection, place, delivery.product)
    # One delivery after the other, so that of two that overlap not both are taken.
    connection.execute(select(blank_place.c.id).order_by(blank_place.c.id).with_for_update()).all()
    _check_numbers(connection, delivery)
    made = new_id()
    connection.execute(
        insert(blank_delivery).values(
            id=made,
            supplier=delivery.supplier,
            product=delivery.product,
            note=delivery.note,
            count=delivery.count,
            first_number=delivery.first_number,
            last_number=delivery.last_number,
            received_at=by.moment,
            received_by=by.actor,
        )
    )
    _record(
        connection,
        _Movement(delivery.product, None, place, delivery.count, "delivered", delivery.note, made),
        by,
    )
    record(connection, by.actor, "stock.receive", made, by.moment, place=place, count=delivery.count)
    return made


def move(
    connection: Connection, product: str, source: str, target: str, count: int, by: By, note: str = ""
) -> None:
    """Move blanks from one place to another. Raises OrderInvalid and StockTooLow."""
    if source == target:
        raise OrderInvalid("blanks are moved from one place to another")
    _require_count(count)
    _require_stock(connection, source, product)
    _open_stock(connection, target, product)
    _lock(connection, source, product, count)
    _record(connection, _Movement(product, source, target, count, "moved", note), by)
    record(connection, by.actor, "stock.move", source, by.moment, to=target, count=count)


def spoil(connection: Connection, product: str, place: str, count: int, reason: str, by: By) -> None:
    """Note that blanks are of no use any more. Raises OrderInvalid and StockTooLow."""
    _require_count(count)
    _require_stock(connection, place, product)
    _lock(connection, place, product, count)
    _record(connection, _Movement(product, place, None, count, "spoiled", _line("the reason", reason)), by)
    record(connection, by.actor, "stock.spoil", place, by.moment, count=count)


def take_stock(
    connection: Connection, product: str, place: str, counted: int, reason: str, by: By
) -> Counted:
    """Note what somebody has counted; the books say the same from then on. Raises OrderInvalid."""
    if not 0 <= counted <= MAX_COUNT:
        raise OrderInvalid(f"{counted} is no number of blanks")
    _open_stock(connection, place, product)
    expected = _lock(connection, place, product)
    found = Counted(expected, counted)
    words = _line("the reason", reason)
    movement = None
    if found.difference:
        source, target = (None, place) if found.difference > 0 else (place, None)
        movement = _record(
            connection, _Movement(product, source, target, abs(found.difference), "counted", words), by
        )
    connection.execute(
        insert(blank_stocktake).values(
            place_id=place,
            product=product,
            expected=expected,
            counted=counted,
            reason=words,
            movement_id=movement,
            counted_at=by.moment,
            counted_by=by.actor,
        )
    )
    record(connection, by.actor, "stock.count", place, by.moment, difference=found.difference)
    return found


def warn_below(connection: Connection, product: str, place: str, low_below: int, by: By) -> None:
    """From which number downwards more is to be ordered; 0: never. Raises OrderInvalid."""
    if not 0 <= low_below <= MAX_COUNT:
        raise OrderInvalid(f"{low_below} is no number of blanks")
    _open_stock(connection, place, product)
    own = blank_stock.c
    at = (own.place_id == place, own.product == product)
    connection.execute(update(blank_stock).where(*at).values(low_below=low_below))
    record(connection, by.actor, "stock.warn", place, by.moment, low_below=low_below)


def stock(connection: Connection, place: str | None = None, *, low: bool = False) -> list[Stock]:
    """What lies where, by place and kind; with `low` what is to be ordered alone."""
    own = blank_stock.c
    wanted = select(blank_stock).order_by(own.place_id, own.product)
    if place is not None:
        wanted = wanted.where(own.place_id == place)
    rows = connection.execute(
        wanted.with_only_columns(own.place_id, own.product, own["count"], own.low_below)
    )
    found = [Stock(*row) for row in rows]
    return [each for each in found if each.is_low] if low else found


def supply_desk(connection: Connection, desk: TerminalId, product: str, place: str, by: By) -> None:
    """Let the cards that a terminal makes be taken from a place from now on. Raises OrderInvalid."""
    if connection.scalar(select(terminal.c.id).where(terminal.c.id == desk)) is None:
        raise OrderInvalid(f"no terminal {desk}")
    _open_stock(connection, place, product)
    values = {"place_id": place, "product": product}
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = dialect.insert(blank_desk).values(terminal_id=desk, **values)
    connection.execute(row.on_conflict_do_update(index_elements=["terminal_id"], set_=values))
    record(connection, by.actor, "stock.desk", desk, by.moment, place=place)


def use_one(connection: Connection, desk: str, by: By, *, spoiled: bool = False) -> None:
    """Take the blank that a desk has made a card of, or has spoiled, from where it takes them.

    Nothing where nobody has said where.
    """
    row = connection.execute(select(blank_desk).where(blank_desk.c.terminal_id == desk)).one_or_none()
    if row is not None:
        take_blank(connection, (row.place_id, row.product), desk, by, spoiled=spoiled)


def take_blank(
    connection: Connection, blanks: tuple[str, str], who: str, by: By, *, spoiled: bool = False
) -> None:
    """Take a blank of a place and kind, of which somebody has made a card or spoiled it.

    The card shows that its blank was there: where the books say that there was none, it is found first, and
    the next who counts sees why.
    """
    place, product = blanks
    if _lock(connection, place, product) == 0:
        words = f"{who} had one that the books did not know of"
        _record(connection, _Movement(product, None, place, 1, "counted", words), by)
    why = "spoiled" if spoiled else "made"
    _record(connection, _Movement(product, place, None, 1, why, who), by)


def _open_stock(connection: Connection, place: str, product: str) -> None:
    """A row for this kind of blank at a place, where there is none. Raises OrderInvalid."""
    _line("the kind of blank", product)
    if connection.scalar(select(blank_place.c.id).where(blank_place.c.id == place)) is None:
        raise OrderInvalid(f"there is no place {place[:40]!r}; make it first (stock place)")
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = {"place_id": place, "product": product}
    connection.execute(dialect.insert(blank_stock).values(row).on_conflict_do_nothing())


def _require_stock(connection: Connection, place: str, product: str) -> None:
    own = blank_stock.c
    known = select(own.count).where(own.place_id == place, own.product == product)
    if connection.scalar(known) is None:
        raise OrderInvalid(f"no {product[:40]!r} ever lay at {place[:40]!r}; see stock show")


def _lock(connection: Connection, place: str, product: str, wanted: int = 0) -> int:
    """How many lie there, which nobody else changes meanwhile. Raises StockTooLow for fewer than `wanted`."""
    own = blank_stock.c
    row = select(own.count).where(own.place_id == place, own.product == product)
    there = int(connection.execute(row.with_for_update()).scalar_one())
    if there < wanted:
        raise StockTooLow(place, product, there, wanted)
    return there


def _record(connection: Connection, moved: _Movement, by: By) -> int:
    made = connection.execute(
        insert(blank_movement)
        .values(
            product=moved.product,
            source=moved.source,
            target=moved.target,
            count=moved.count,
            why=moved.why,
            note=moved.note,
            delivery_id=moved.delivery,
            moved_at=by.moment,
            moved_by=by.actor,
        )
        .returning(blank_movement.c.id)
    )
    return int(made.scalar_one())


def _check_numbers(connection: Connection, delivery: Delivery) -> None:
    first, last = delivery.first_number, delivery.last_number
    if first is None and last is None:
        return
    if first is None or last is None:
        raise DeliveryRefused("give the first and the last number, or neither")
    base = next(
        (
            base
            for form, base in ((_NUMBER, 10), (_UID, 16))
            if form.fullmatch(first) and form.fullmatch(last)
        ),
        None,
    )
    if base is None or len(first) != len(last) or first > last:
        raise DeliveryRefused(
            "numbers are two of the same length, the lower first: digits, or UIDs in capital hexadecimals"
        )
    # Chips are numbered by their maker, with gaps; cards by whoever prints them, without.
    between = int(last, base) - int(first, base) + 1
    if between < delivery.count or (base == 10 and between != delivery.count):
        raise DeliveryRefused(f"from {first} to {last} there are {between}, not {delivery.count}")
    own = blank_delivery.c
    overlapping = select(own.id).where(
        own.product == delivery.product,
        func.length(own.first_number) == len(first),
        own.first_number <= last,
        own.last_number >= first,
    )
    same_form = [own.supplier == delivery.supplier] if base == 10 else []
    if (before := connection.scalars(overlapping.where(*same_form)).first()) is not None:
        raise DeliveryRefused(f"some of these numbers were delivered before, with {before}")


def _require_count(count: int) -> None:
    if not 1 <= count <= MAX_COUNT:
        raise OrderInvalid(f"{count} is no number of blanks; it is from 1 to {MAX_COUNT}")


def _line(what: str, text: str) -> str:
    if not (1 <= len(text) <= MAX_LINE and text.isprintable() and text == text.strip()):
        raise OrderInvalid(f"{what} is one line of up to {MAX_LINE} characters")
    return text
