"""Account statements: what moved a payer's money, in the order of the ledger sequence, page by page.

A statement goes by the day that an entry settles on. Numbers only grow, in the order of days: whatever is
posted while somebody turns pages comes after what they have read, so that pages join without gap or repeat.
What has no number yet is told apart.

The payer's own accounts alone have a say: what else pays for a sale, such as a programme that funds meals, is
in no amount and in no line, and a sale that took nothing of the payer's is none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Tuple, and_, case, func, or_, select, tuple_
from sqlalchemy.sql import Subquery

from cardservice.ids import PayerId, ProviderId, TransactionId
from cardservice.ledger.closing.models import ledger_sequence
from cardservice.ledger.errors import StatementInvalid
from cardservice.ledger.models import account, ledger_transaction, transaction_details, transfer
from cardservice.ledger.statement_reading import names_of, undone_by, whose
from cardservice.ledger.values import PAYER_ARREARS, PAYER_PREPAID

LINES_AT_ONCE = 200
_MOST_AT_ONCE = 5_000
# Ids in one query: SQLite bounds the variables of a statement.
_IDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Money:
    """What is in `prepaid` and in `arrears`, or what changes there; what is owed is below zero."""

    prepaid_minor: int = 0
    arrears_minor: int = 0

    def __add__(self, other: "Money") -> "Money":
        """Both together."""
        return Money(self.prepaid_minor + other.prepaid_minor, self.arrears_minor + other.arrears_minor)

    @property
    def total_minor(self) -> int:
        """What there is, less what is owed."""
        return self.prepaid_minor + self.arrears_minor


@dataclass(frozen=True, slots=True)
class Period:
    """Days of settlement, the last included. Raises StatementInvalid where it ends before it begins."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise StatementInvalid(f"the statement would end on {self.last}, before {self.first}; turn them")


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """The place of an entry in the ledger sequence: the next page begins after it."""

    settled_on: date
    epoch: int
    sequence: int

    def __str__(self) -> str:
        """As it is handed out, such as 2026-11-24.0.17."""
        return f"{self.settled_on.isoformat()}.{self.epoch}.{self.sequence}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """What `str` made. Raises StatementInvalid."""
        try:
            day, epoch, number = text.split(".")
            found = cls(date.fromisoformat(day), int(epoch), int(number))
        except ValueError:
            found = None
        # The columns' own bounds: a number beyond them is none of ours.
        if found is None or not (0 <= found.epoch < 2**31 and 0 < found.sequence < 2**63):
            raise StatementInvalid(f"{text[:60]!r} is no cursor; give the one of the page before")
        return found


@dataclass(frozen=True, slots=True)
class Undone:
    """A transaction that a line gives something back of."""

    transaction: TransactionId
    kind: str
    service: str | None
    action: str | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """What one transaction did to the payer's money, as far as the ledger still says.

    `items` are the labels of its receipt; none where its details were erased, or where it had no receipt.
    `place` and `balance`, the money after it, are None for what has not settled yet. `late`: it occurred
    before the day that it settled on.
    """

    transaction: TransactionId
    kind: str
    service: str | None
    action: str | None
    provider_id: ProviderId | None
    provider_name: str | None
    items: tuple[str, ...]
    reverses: tuple[Undone, ...]
    occurred_at: datetime
    moved: Money
    place: Cursor | None = None
    late: bool = False
    balance: Money | None = None


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Lines in their order, with the money before the first and after the last of them.

    `next` is the cursor of the page after this one. The last page has none; it alone tells, as of the same
    moment, what has not settled yet.
    """

    payer_id: PayerId
    period: Period
    unit: str
    opening: Money
    lines: tuple[StatementLine, ...]
    closing: Money
    next: Cursor | None
    unsettled: tuple[StatementLine, ...]


def statement_page(
    connection: Connection,
    payer_id: PayerId,
    period: Period,
    after: Cursor | None = None,
    size: int = LINES_AT_ONCE,
) -> StatementPage:
    """The page after `after`, or the first; for a transaction that sees one moment (`Database.reading`).

    Raises StatementInvalid for a size that is none, or where there is no such payer.
    """
    if not 0 < size <= _MOST_AT_ONCE:
        raise StatementInvalid(f"a page has 1 to {_MOST_AT_ONCE} lines, not {size}")
    unit = _unit(connection, payer_id)
    return _page(
        connection, payer_id, period, after, size, unit, _opening(connection, payer_id, period, after)
    )


def _page(
    connection: Connection,
    payer_id: PayerId,
    period: Period,
    after: Cursor | None,
    size: int,
    unit: str,
    opening: Money,
) -> StatementPage:
    balance = opening
    rows = connection.execute(_settled(connection, payer_id, period, after, size + 1)).all()
    shown, more = rows[:size], len(rows) > size
    waiting = [] if more else connection.execute(_waiting(connection, payer_id)).all()
    told = _Told.of(connection, payer_id, [*shown, *waiting])
    lines = []
    for row in shown:
        balance += _money(row)
        place = Cursor(row.settled_on, row.epoch, row.sequence)
        lines.append(told.line(row, place=place, late=row.late, balance=balance))
    return StatementPage(
        payer_id=payer_id,
        period=period,
        unit=unit,
        opening=opening,
        lines=tuple(lines),
        closing=balance,
        next=lines[-1].place if more else None,
        unsettled=tuple(told.line(row) for row in waiting),
    )


def statement_pages(
    connection: Connection, payer_id: PayerId, period: Period, size: int = LINES_AT_ONCE
) -> Iterator[StatementPage]:
    """All pages, as of the transaction's one moment. Raises StatementInvalid."""
    page = statement_page(connection, payer_id, period, size=size)
    yield page
    while page.next is not None:
        # As of one moment: a page begins with what the one before it ends with, and nothing is added up anew.
        page = _page(connection, payer_id, period, page.next, size, page.unit, page.closing)
        yield page


def _unit(connection: Connection, payer_id: PayerId) -> str:
    found = connection.scalar(
        select(account.c.unit).where(account.c.payer_id == payer_id, account.c.kind == "prepaid")
    )
    if found is None:
        raise StatementInvalid(f"no payer {payer_id}; `cardservice payer history` names those of a person")
    return str(found)


_OWN = (PAYER_PREPAID, PAYER_ARREARS)


def _changes() -> list[ColumnElement[int]]:
    """What transfers together do to both accounts."""
    moved = transfer.c
    return [
        func.sum(
            case(
                (moved.credit == name, moved.amount_minor),
                (moved.debit == name, -moved.amount_minor),
                else_=0,
            )
        ).label(label)
        for name, label in ((PAYER_PREPAID, "prepaid_minor"), (PAYER_ARREARS, "arrears_minor"))
    ]


def _is_own() -> ColumnElement[bool]:
    return or_(transfer.c.debit.in_(_OWN), transfer.c.credit.in_(_OWN))


def _entries(connection: Connection, payer_id: PayerId, *where: ColumnElement[bool]) -> Subquery:
    """Numbered entries with what each did to both accounts; NULL where it moved neither.

    Subqueries of a value, not a join: a database that takes the payer for one with few entries would go
    through all of the transfers for each entry. So it can but look each up by its whole key.
    """
    entry, moved = ledger_sequence.c, transfer.c
    same = and_(moved.payer_id == entry.payer_id, moved.transaction_id == entry.transaction_id, _is_own())
    changes = [
        select(change)
        .where(same, *whose(connection, payer_id, moved.payer_id))
        .correlate(ledger_sequence)
        .scalar_subquery()
        .label(change.name)
        for change in _changes()
    ]
    return select(ledger_sequence, *changes).where(entry.payer_id == payer_id, *where).subquery("entry")


def _is_before(period: Period, after: Cursor | None) -> ColumnElement[bool]:
    """Tells the entries that come before a page."""
    earlier = ledger_sequence.c.settled_on < period.first
    if after is None:
        return earlier
    place, read = _place_and(after)
    return or_(earlier, place <= read)


def _is_in(period: Period, after: Cursor | None) -> ColumnElement[bool]:
    """Tells the others of the period."""
    entry = ledger_sequence.c
    within = and_(entry.settled_on >= period.first, entry.settled_on <= period.last)
    if after is None:
        return within
    place, read = _place_and(after)
    return and_(within, place > read)


def _place_and(after: Cursor) -> tuple[Tuple, Tuple]:
    entry = ledger_sequence.c
    place = tuple_(entry.settled_on, entry.epoch, entry.sequence)
    types = [column.type for column in place.clauses]
    return place, tuple_(after.settled_on, after.epoch, after.sequence, types=types)


def _opening(connection: Connection, payer_id: PayerId, period: Period, after: Cursor | None) -> Money:
    before = _entries(connection, payer_id, _is_before(period, after)).c
    row = connection.execute(select(func.sum(before.prepaid_minor), func.sum(before.arrears_minor))).one()
    # PostgreSQL adds up bigints to a numeric; of nothing the sum is NULL.
    return Money(int(row[0] or 0), int(row[1] or 0))


def _settled(
    connection: Connection, payer_id: PayerId, period: Period, after: Cursor | None, size: int
) -> Any:
    entries = _entries(connection, payer_id, _is_in(period, after))
    entry = entries.c
    moved = (
        select(entries)
        .where(entry.prepaid_minor.is_not(None))
        .order_by(entry.settled_on, entry.epoch, entry.sequence)
        .limit(size)
        .subquery("moved")
    )
    found = moved.c
    return (
        _lines(connection, payer_id, moved)
        .add_columns(found.settled_on, found.epoch, found.sequence, found.late)
        .order_by(found.settled_on, found.epoch, found.sequence)
    )


def _waiting(connection: Connection, payer_id: PayerId) -> Any:
    entry, stored, moved = ledger_sequence.c, ledger_transaction.c, transfer.c
    # Of a value for the same reason as in `_entries`.
    number = (
        select(entry.sequence)
        .where(entry.payer_id == moved.payer_id, entry.transaction_id == moved.transaction_id)
        .where(*whose(connection, payer_id, entry.payer_id))
        .correlate(transfer)
        .scalar_subquery()
    )
    waiting = (
        select(moved.payer_id, moved.transaction_id, *_changes())
        .where(moved.payer_id == payer_id, _is_own(), number.is_(None))
        .group_by(moved.payer_id, moved.transaction_id)
        .subquery("moved")
    )
    return _lines(connection, payer_id, waiting).order_by(stored.posted_at, stored.id)


def _lines(connection: Connection, payer_id: PayerId, moved: Subquery) -> Any:
    stored, details, found = ledger_transaction.c, transaction_details.c, moved.c
    # By the payer of each row, not by the one asked for: see `_entries`.
    joined = moved.join(
        ledger_transaction,
        and_(
            stored.payer_id == found.payer_id,
            stored.id == found.transaction_id,
            *whose(connection, payer_id, stored.payer_id),
        ),
    ).outerjoin(
        transaction_details,
        and_(
            details.payer_id == found.payer_id,
            details.transaction_id == found.transaction_id,
            *whose(connection, payer_id, details.payer_id),
        ),
    )
    return select(
        *(stored.id, stored.kind, stored.service, stored.action, stored.provider_id, stored.occurred_at),
        details.answer,
        found.prepaid_minor,
        found.arrears_minor,
    ).select_from(joined)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the lines of a page give back, by transaction."""

    undone: Mapping[TransactionId, Sequence[Undone]]
    # Read beside the entries, which on a cluster lie elsewhere.
    names: Mapping[str, str]

    @classmethod
    def of(cls, connection: Connection, payer_id: PayerId, rows: Sequence[Row[Any]]) -> "_Told":
        ids = [row.id for row in rows]
        found: dict[TransactionId, list[Undone]] = {}
        for first in range(0, len(ids), _IDS_AT_ONCE):
            for by, undone in undone_by(connection, payer_id, ids[first : first + _IDS_AT_ONCE]):
                found.setdefault(by, []).append(Undone(*undone))
        sold_by = {row.provider_id for row in rows if row.provider_id is not None}
        return cls(found, names_of(connection, sold_by))

    def line(self, row: Row[Any], **more: Any) -> StatementLine:
        """A row as a line."""
        return StatementLine(
            transaction=TransactionId(row.id),
            kind=row.kind,
            service=row.service,
            action=row.action,
            provider_id=row.provider_id,
            provider_name=self.names.get(row.provider_id),
            items=_items(row.answer),
            reverses=tuple(self.undone.get(row.id, ())),
            occurred_at=row.occurred_at,
            moved=_money(row),
            **more,
        )


def _money(row: Row[Any]) -> Money:
    return Money(int(row.prepaid_minor), int(row.arrears_minor))


def _items(answer: Mapping[str, Any] | None) -> tuple[str, ...]:
    # Labels alone: what of a price somebody else paid is nobody's business.
    receipt = ((answer or {}).get("given") or {}).get("receipt") or ()
    return tuple(str(line["label"]) for line in receipt)
