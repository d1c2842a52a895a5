"""Titles and copies: read from a file as a whole or not at all, looked up, and withdrawn."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Row, Text, bindparam, func, insert, select, true, update

from cardservice.audit.service import record
from cardservice.cardholders.models import cardholder
from cardservice.circulation.errors import CopyUnknown, LendingRefused, MemberUnknown, StockRefused
from cardservice.circulation.holds import assign_next
from cardservice.circulation.members import barcode_fits
from cardservice.circulation.models import copy, hold, loan, member, title
from cardservice.circulation.terms import lending_service, terms_at
from cardservice.context import Context
from cardservice.ids import CardholderId

MAX_BYTES = 64 << 20  # ours
COLUMNS = ("barcode", "title_id", "title", "author", "item_class", "branch")
_MAX_TEXT = 200  # ours: what fits in a field of SIP2


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file came to: copies and titles that are new, and copies that were there already."""

    copies: int
    titles: int
    known: int


@dataclass(frozen=True, slots=True)
class _Record:
    """A line of a file: one copy."""

    line: int
    barcode: str
    title_id: str
    title: str
    author: str
    item_class: str
    branch: str


def import_stock(context: Context, path: Path, *, by: str) -> Imported:
    """Take all copies of a CSV file, or none. Raises StockRefused with the line, and NoTerms.

    A copy that is there as the file says changes nothing; one that is there as another is refused.
    """
    moment = context.now()
    with context.database.begin() as connection:
        terms = terms_at(context, connection, moment)
        classes = lending_service(context.services).item_classes(terms.tariff)
        records = list(_records(path, classes))
        done = _store(context, connection, path.name, records)
        record(connection, by, "lending.import", path.name, moment, copies=done.copies, titles=done.titles)
    return done


def _records(path: Path, classes: Mapping[str, str]) -> Iterator[_Record]:
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise StockRefused(path.name, 1, f"is larger than {MAX_BYTES >> 20} MiB; import it in parts")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise StockRefused(path.name, line, "is not UTF-8") from problem
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    seen: dict[str, int] = {}
    try:
        head = next(reader, [])
        if tuple(head) != COLUMNS:
            raise StockRefused(path.name, 1, f"the first line names the columns: {','.join(COLUMNS)}")
        for cells in reader:
            found = _record(path.name, reader.line_num, cells, classes)
            first = seen.setdefault(found.barcode, found.line)
            if first != found.line:
                raise StockRefused(path.name, found.line, f"the copy {found.barcode} is on line {first}, too")
            yield found
    except csv.Error as problem:
        raise StockRefused(path.name, reader.line_num, f"is not CSV: {problem}") from problem


def _record(file: str, line: int, cells: list[str], classes: Mapping[str, str]) -> _Record:
    if len(cells) != len(COLUMNS):
        raise StockRefused(file, line, f"has {len(cells)} columns, not {len(COLUMNS)}")
    for name, cell in zip(COLUMNS, cells, strict=True):
        # A bar ends a field of SIP2.
        if not (len(cell) <= _MAX_TEXT and cell.isprintable() and cell == cell.strip() and "|" not in cell):
            reason = f"up to {_MAX_TEXT} printable characters without bars, or spaces around them"
            raise StockRefused(file, line, f"{name}: {cell[:40]!a} is no text of {reason}")
        if not cell and name != "author":
            raise StockRefused(file, line, f"{name} is empty")
    found = _Record(line, *cells)
    for name, number in (("barcode", found.barcode), ("title_id", found.title_id)):
        if not barcode_fits(number):
            raise StockRefused(file, line, f"{name}: {number[:50]!r} is nothing that a scanner could read")
    if found.item_class not in classes:
        known = ", ".join(sorted(classes))
        raise StockRefused(file, line, f"item_class: the terms have no {found.item_class[:40]!r}: {known}")
    return found


def _store(context: Context, connection: Connection, file: str, records: list[_Record]) -> Imported:
    copies = titles = 0
    for found in records:
        known = connection.execute(select(title).where(title.c.id == found.title_id)).one_or_none()
        wanted = (found.title, found.author, found.item_class)
        if known is None:
            connection.execute(
                insert(title).values(
                    id=found.title_id, name=found.title, author=found.author, item_class=found.item_class
                )
            )
            titles += 1
        elif (known.name, known.author, known.item_class) != wanted:
            reason = f"the title {found.title_id} is {known.name} by {known.author}, {known.item_class}"
            raise StockRefused(file, found.line, reason)
        there = connection.execute(select(copy).where(copy.c.barcode == found.barcode)).one_or_none()
        if there is None:
            connection.execute(
                insert(copy).values(
                    barcode=found.barcode,
                    title_id=found.title_id,
                    branch=found.branch,
                    place=found.branch,
                    withdrawn=False,
                )
            )
            copies += 1
        elif there.title_id != found.title_id:
            raise StockRefused(file, found.line, f"the copy {found.barcode} is one of {there.title_id}")
    if copies:
        # Who waits for a title need not wait for what is new.
        for title_id in sorted({found.title_id for found in records}):
            while assign_next(context, connection, title_id):
                pass
    return Imported(copies, titles, len(records) - copies)


def locked_copy(connection: Connection, barcode: str) -> Row[*tuple[object, ...]]:
    """A copy's title; it is held to the end of the transaction. Raises CopyUnknown.

    All that is done with a title's copies and queue is done by one at a time.
    """
    row = connection.execute(_LOCKED, {"copy": barcode}).one_or_none()
    if row is None:
        raise CopyUnknown(barcode)
    return row


def locked_pair(connection: Connection, barcode: str, number: str) -> Row[*tuple[object, ...]]:
    """A copy's title, and then a member with their category: both are held to the end of the transaction.

    Raises CopyUnknown and MemberUnknown.
    """
    row = connection.execute(_LOCKED_PAIR, {"copy": number, "barcode": barcode}).one_or_none()
    if row is None:
        locked_copy(connection, number)
        raise MemberUnknown(barcode)
    return row


def find_copy(connection: Connection, barcode: str) -> Row[*tuple[object, ...]] | None:
    """A copy with its title's name and class, or None."""
    wanted = select(copy, title.c.name, title.c.author, title.c.item_class)
    joined = wanted.select_from(copy.join(title, title.c.id == copy.c.title_id))
    return connection.execute(joined.where(copy.c.barcode == barcode)).one_or_none()


def find_item(connection: Connection, number: str) -> Row[*tuple[object, ...]] | None:
    """A copy with its title, until when it is lent, whether it is kept, and how many wait; or None."""
    return connection.execute(_ITEM, {"copy": number}).one_or_none()


def locked_title(connection: Connection, wanted: str) -> Row[*tuple[object, ...]] | None:
    """A title by its key, or by a copy's number, which goes before it; held, or None."""
    of_copy = connection.scalar(select(copy.c.title_id).where(copy.c.barcode == wanted))
    own = select(title).where(title.c.id == (wanted if of_copy is None else of_copy))
    return connection.execute(own.with_for_update()).one_or_none()


def locked_loans(connection: Connection, holder: CardholderId) -> Sequence[str]:
    """What somebody has, what is due first first; all of its titles are held, in one order for everybody."""
    theirs = select(copy.c.title_id).join(loan, loan.c.copy == copy.c.barcode)
    titles = title.c.id.in_(theirs.where(loan.c.cardholder_id == holder))
    connection.execute(select(title.c.id).where(titles).order_by(title.c.id).with_for_update())
    lent = select(loan.c.copy).where(loan.c.cardholder_id == holder)
    return connection.execute(lent.order_by(loan.c.due_on, loan.c.copy)).scalars().all()


def withdraw(context: Context, barcode: str, *, by: str) -> None:
    """Take a copy out of the stock. Raises CopyUnknown; LendingRefused for one that is on loan or kept."""
    with context.database.begin() as connection:
        locked_copy(connection, barcode)
        if connection.execute(select(loan.c.copy).where(loan.c.copy == barcode)).first():
            raise LendingRefused("on_loan", f"{barcode} is on loan; take it back first")
        if connection.execute(select(hold.c.copy).where(hold.c.copy == barcode)).first():
            raise LendingRefused("kept", f"{barcode} is kept for somebody; lend it, or cancel that first")
        connection.execute(update(copy).where(copy.c.barcode == barcode).values(withdrawn=True))
        record(connection, by, "lending.withdraw", barcode, context.now())


# Built once, as those of `standing`.
_OF_COPY = select(copy.c.title_id).where(copy.c.barcode == bindparam("copy", type_=Text())).scalar_subquery()
_TITLE = title.c.id.label("title_id"), title.c.name, title.c.item_class
_LOCKED = select(*_TITLE).where(title.c.id == _OF_COPY).with_for_update()
# PostgreSQL locks in the order in which the tables are named.
_LOCKED_PAIR = (
    select(*_TITLE, member, cardholder.c.category)
    .select_from(title.join(member, true()).join(cardholder, cardholder.c.id == member.c.cardholder_id))
    .where(title.c.id == _OF_COPY, member.c.barcode == bindparam("barcode", type_=Text()))
    .with_for_update(of=[title, member])
)
_WAITING = hold.alias("waiting")
_ITEM = (
    select(
        *(copy.c.withdrawn, copy.c.branch, copy.c.place, title.c.name, loan.c.due_on),
        hold.c.number.label("kept"),
        select(func.count())
        .select_from(_WAITING)
        .where(_WAITING.c.title_id == copy.c.title_id, _WAITING.c.copy.is_(None))
        .scalar_subquery()
        .label("waiting"),
    )
    .select_from(
        copy.join(title, title.c.id == copy.c.title_id)
        .outerjoin(loan, loan.c.copy == copy.c.barcode)
        .outerjoin(hold, hold.c.copy == copy.c.barcode)
    )
    .where(copy.c.barcode == bindparam("copy", type_=Text()))
)
