"""Pages of an account statement, one by one or all of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, Select

from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.errors import StatementInvalid, no_payer
from cardservice.ledger.statements import queries
from cardservice.ledger.statements.values import (
    Cursor,
    Money,
    Period,
    StatementLine,
    StatementPage,
    Undone,
)

LINES_AT_ONCE = 200
_MOST_AT_ONCE = 5_000
# Ids in one query: SQLite bounds the variables of a statement.
_IDS_AT_ONCE = 500


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
    pages = _Pages(connection, payer_id, period, after, size)
    rows = connection.execute(
        queries.settled(pages.kind, limited=True), {**pages.asked, "size": size + 1}
    ).all()
    shown, more = rows[:size], len(rows) > size
    # Where nothing comes after them, what they moved is all that has moved since.
    since = None if more or pages.begun.later else sum(map(_money, shown), Money())
    return pages.page(shown, pages.opening(since), more=more)


def statement_pages(
    connection: Connection, payer_id: PayerId, period: Period, size: int = LINES_AT_ONCE
) -> Iterator[StatementPage]:
    """All pages, as of the transaction's one moment. Raises StatementInvalid."""
    pages = _Pages(connection, payer_id, period, None, size)
    opening, query = pages.opening(), queries.settled(pages.kind, limited=False)
    # One query, read as it is wanted: however long a statement is, two pages of it are in memory.
    with connection.execute(query, pages.asked, execution_options={"yield_per": size}) as rows:
        shown = list(islice(rows, size))
        while True:
            following = list(islice(rows, size))
            page = pages.page(shown, opening, more=bool(following))
            yield page
            if not following:
                return
            shown, opening = following, page.closing


class _Pages:
    """Makes pages of rows."""

    def __init__(
        self, connection: Connection, payer_id: PayerId, period: Period, after: Cursor | None, size: int
    ) -> None:
        if not 0 < size <= _MOST_AT_ONCE:
            raise StatementInvalid(f"a page has 1 to {_MOST_AT_ONCE} lines, not {size}")
        self.kind, self.asked = queries.Kind.of(connection), queries.asked(payer_id, period, after)
        self.begun = connection.execute(queries.begun(), self.asked).one()
        if self.begun.unit is None:
            raise StatementInvalid(no_payer(payer_id))
        self._connection, self._payer_id, self._period = connection, payer_id, period
        self._found_waiting: Sequence[Row[Any]] | None = None

    def opening(self, since: Money | None = None) -> Money:
        """What there was before: added up from the beginning, or back from what there is (ADR 0142).

        Whichever has fewer entries to look up. `since`: what has moved from there on, if that is known.
        """
        begun = self.begun
        if not begun.earlier:
            return Money()
        if since is None and 2 * begun.earlier <= begun.numbered:
            return self._sum(queries.moved_before(self.kind))
        since = self._sum(queries.moved_since(self.kind)) if since is None else since
        held = Money(int(begun.prepaid), int(begun.arrears))
        return held - since - sum(map(_money, self._waiting()), Money())

    def page(self, shown: Sequence[Row[Any]], opening: Money, *, more: bool) -> StatementPage:
        """The page of these rows, which begins with `opening`."""
        waiting: Sequence[Row[Any]] = () if more else self._waiting()
        rows = [*shown, *waiting]
        told = _Told(self._undone(rows), queries.names_beside(self._connection, self.kind, rows))
        lines = tuple(told.settled(shown, opening))
        return StatementPage(
            payer_id=self._payer_id,
            period=self._period,
            unit=self.begun.unit,
            opening=opening,
            lines=lines,
            closing=sum((line.moved for line in lines), opening),
            next=lines[-1].place if more else None,
            unsettled=tuple(told.line(row, _money(row)) for row in waiting),
        )

    def _waiting(self) -> Sequence[Row[Any]]:
        """What has no number yet; nobody is asked where everything has one."""
        if self._found_waiting is None:
            is_any = self.begun.stored > self.begun.numbered
            query = queries.waiting(self.kind)
            self._found_waiting = self._connection.execute(query, self.asked).all() if is_any else ()
        return self._found_waiting

    def _sum(self, query: Select[Any]) -> Money:
        return _money(self._connection.execute(query, self.asked).one())

    def _undone(self, rows: Iterable[Row[Any]]) -> Mapping[TransactionId, Sequence[Undone]]:
        """What these give something back of, by transaction."""
        ids = [row.id for row in rows if row.reversals]
        found: dict[TransactionId, list[Undone]] = {}
        for first in range(0, len(ids), _IDS_AT_ONCE):
            query = queries.undone(self._payer_id, ids[first : first + _IDS_AT_ONCE])
            for by, *what in self._connection.execute(query):
                found.setdefault(by, []).append(Undone(*what))
        return found


@dataclass(frozen=True, slots=True)
class _Told:
    """Rows as lines."""

    undone: Mapping[TransactionId, Sequence[Undone]]
    # Of providers, where they do not come with the rows
    names: Mapping[str, str]

    def settled(self, rows: Iterable[Row[Any]], opening: Money) -> Iterator[StatementLine]:
        """Lines with the money after each."""
        balance = opening
        for row in rows:
            moved = _money(row)
            balance += moved
            place = Cursor(row.settled_on, row.epoch, row.sequence)
            yield self.line(row, moved, place=place, late=row.late, balance=balance)

    def line(self, row: Row[Any], moved: Money, **more: Any) -> StatementLine:
        """A row as a line."""
        return StatementLine(
            transaction=TransactionId(row.id),
            kind=row.kind,
            service=row.service,
            action=row.action,
            provider_id=row.provider_id,
            provider_name=row.provider_name or self.names.get(row.provider_id),
            # Labels alone: what of a price somebody else paid is nobody's business.
            items=tuple(str(each["label"]) for each in row.receipt or ()),
            reverses=tuple(self.undone.get(row.id, ())),
            occurred_at=row.occurred_at,
            moved=moved,
            **more,
        )


def _money(row: Row[Any]) -> Money:
    # PostgreSQL adds up bigints to a numeric.
    return Money(int(row.prepaid_minor), int(row.arrears_minor))
