"""The queries of an account statement: each entry is looked up once, by its whole key."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Tuple,
    and_,
    case,
    func,
    not_,
    null,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.sql import FromClause, Subquery

from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.closing.models import ledger_sequence
from cardservice.ledger.closing.rounds import on_cluster
from cardservice.ledger.closing.sequencing import read_position, unsequenced
from cardservice.ledger.models import account, ledger_transaction, transaction_details, transfer
from cardservice.ledger.statements.values import Cursor, Money, Period
from cardservice.ledger.values import PAYER_ARREARS, PAYER_PREPAID
from cardservice.providers.models import provider

_OWN = (PAYER_PREPAID, PAYER_ARREARS)


def is_before(period: Period, after: Cursor | None) -> ColumnElement[bool]:
    """Tells the entries that come before a page."""
    earlier = ledger_sequence.c.settled_on < period.first
    if after is None:
        return earlier
    place, read = _place_and(after)
    return or_(earlier, place <= read)


def is_in(period: Period, after: Cursor | None) -> ColumnElement[bool]:
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


def money_before(connection: Connection, payer_id: PayerId, period: Period, after: Cursor | None) -> Money:
    """What there was before a page: added up from the beginning, or back from what there is (ADR 0142).

    Whichever has fewer entries to look up.
    """
    entry, before = ledger_sequence.c, is_before(period, after)
    earlier, every = connection.execute(
        select(func.count().filter(before), func.count()).where(entry.payer_id == payer_id)
    ).one()
    if 2 * earlier <= every:
        return _moved(connection, payer_id, _numbered(payer_id, before))
    since = _moved(connection, payer_id, _numbered(payer_id, not_(before)))
    waiting = _moved(connection, payer_id, _waiting(connection, payer_id))
    return _held(connection, payer_id) - since - waiting


def settled(
    connection: Connection, payer_id: PayerId, period: Period, after: Cursor | None, size: int | None
) -> Select[Any]:
    """Rows of the lines of a page, in their order; `size`: None for all that there are."""
    entry = _with_changes(connection, payer_id, _numbered(payer_id, is_in(period, after))).subquery("entry")
    found = entry.c
    order = (found.settled_on, found.epoch, found.sequence)
    moved = select(entry).where(found.prepaid_minor.is_not(None)).order_by(*order).limit(size)
    lines = moved.subquery("moved")
    place = (lines.c.settled_on, lines.c.epoch, lines.c.sequence)
    return _lines(connection, payer_id, lines).add_columns(*place, lines.c.late).order_by(*place)


def waiting(connection: Connection, payer_id: PayerId) -> Select[Any]:
    """Rows of the lines that have no number yet."""
    entry = _with_changes(connection, payer_id, _waiting(connection, payer_id)).subquery("entry")
    stored = ledger_transaction.c
    lines = _lines(connection, payer_id, entry).where(entry.c.prepaid_minor.is_not(None))
    return lines.order_by(stored.posted_at, stored.id)


def undone(payer_id: PayerId, ids: Collection[TransactionId]) -> Select[Any]:
    """What these transactions give something back of: by which, and what it was."""
    moved, stored = transfer.c, ledger_transaction.c
    whose = and_(stored.payer_id == payer_id, stored.id == moved.reverses_transaction)
    what = (stored.id, stored.kind, stored.service, stored.action, stored.occurred_at)
    return (
        select(moved.transaction_id, *what)
        .join_from(transfer, ledger_transaction, whose)
        .where(moved.payer_id == payer_id, moved.transaction_id.in_(ids))
        .distinct()
        .order_by(stored.occurred_at, stored.id)
    )


def unit_of(connection: Connection, payer_id: PayerId) -> str | None:
    """The unit of the payer's money; None: there is no such payer."""
    found: str | None = connection.scalar(
        select(account.c.unit).where(account.c.payer_id == payer_id, account.c.kind == "prepaid")
    )
    return found


def _numbered(payer_id: PayerId, where: ColumnElement[bool]) -> FromClause:
    return select(ledger_sequence).where(ledger_sequence.c.payer_id == payer_id, where).subquery("numbered")


def _waiting(connection: Connection, payer_id: PayerId) -> FromClause:
    stored = ledger_transaction.c
    return (
        select(stored.payer_id, stored.id.label("transaction_id"))
        .where(stored.payer_id == payer_id, unsequenced(connection, read_position(connection)))
        .subquery("waiting")
    )


def _with_changes(connection: Connection, payer_id: PayerId, entries: FromClause) -> Select[Any]:
    """Entries with what each did to both accounts, NULL where it moved neither, and how much it gives back.

    Looked up from each entry, not joined: a database that takes the payer for one with few entries would go
    through all of the transfers for each entry. So it can but look each up by its whole key.
    """
    moved, entry = transfer.c, entries.c
    same = and_(
        moved.payer_id == entry.payer_id,
        moved.transaction_id == entry.transaction_id,
        _is_own(),
        *_whose(connection, payer_id, moved.payer_id),
    )
    if connection.dialect.name == "sqlite":
        # It knows no LATERAL. Its look-ups are calls within the process.
        changes = [
            select(each).where(same).correlate(entries).scalar_subquery().label(each.name)
            for each in _changes()
        ]
        return select(entries, *changes)
    own = select(*_changes()).where(same).correlate(entries).lateral("own")
    return select(entries, *own.c).join_from(entries, own, true())


def _changes() -> list[ColumnElement[int]]:
    """What transfers together do to both accounts, and how many of them give something back."""
    moved = transfer.c
    sums = [
        func.sum(
            case(
                (moved.credit == name, moved.amount_minor),
                (moved.debit == name, -moved.amount_minor),
                else_=0,
            )
        ).label(label)
        for name, label in ((PAYER_PREPAID, "prepaid_minor"), (PAYER_ARREARS, "arrears_minor"))
    ]
    return [*sums, func.count(moved.reverses_transaction).label("reversals")]


def _is_own() -> ColumnElement[bool]:
    return or_(transfer.c.debit.in_(_OWN), transfer.c.credit.in_(_OWN))


def _moved(connection: Connection, payer_id: PayerId, entries: FromClause) -> Money:
    changed = _with_changes(connection, payer_id, entries).subquery("changed").c
    row = connection.execute(select(func.sum(changed.prepaid_minor), func.sum(changed.arrears_minor))).one()
    # PostgreSQL adds up bigints to a numeric; of nothing the sum is NULL.
    return Money(int(row[0] or 0), int(row[1] or 0))


def _held(connection: Connection, payer_id: PayerId) -> Money:
    own = account.c
    query = select(own.kind, own.balance).where(
        own.payer_id == payer_id, own.kind.in_(("prepaid", "arrears"))
    )
    held = {row.kind: int(row.balance) for row in connection.execute(query)}
    return Money(held.get("prepaid", 0), held.get("arrears", 0))


def _whose(
    connection: Connection, payer_id: PayerId, *columns: ColumnElement[UUID]
) -> list[ColumnElement[bool]]:
    """For a cluster, which sees that one shard has all that is wanted only where each table is told so."""
    return [column == payer_id for column in columns] if on_cluster(connection) else []


def names_beside(connection: Connection, rows: Iterable[Row[Any]]) -> Mapping[str, str]:
    """On a cluster the providers of these lines by their ids; elsewhere the lines have their names."""
    wanted = {row.provider_id for row in rows} - {None} if on_cluster(connection) else set()
    if not wanted:
        return {}
    named = select(provider.c.id, provider.c.name).where(provider.c.id.in_(wanted))
    return {row.id: row.name for row in connection.execute(named)}


def _lines(connection: Connection, payer_id: PayerId, moved: Subquery) -> Select[Any]:
    stored, details, found = ledger_transaction.c, transaction_details.c, moved.c
    # By the payer of each row, not by the one asked for: see `_with_changes`.
    joined = moved.join(
        ledger_transaction,
        and_(
            stored.payer_id == found.payer_id,
            stored.id == found.transaction_id,
            *_whose(connection, payer_id, stored.payer_id),
        ),
    ).outerjoin(
        transaction_details,
        and_(
            details.payer_id == found.payer_id,
            details.transaction_id == found.transaction_id,
            *_whose(connection, payer_id, details.payer_id),
        ),
    )
    name: ColumnElement[Any] = null()
    # On a cluster providers lie elsewhere than entries: `names_beside` has them.
    if not on_cluster(connection):
        joined, name = joined.outerjoin(provider, provider.c.id == stored.provider_id), provider.c.name
    return select(
        *(stored.id, stored.kind, stored.service, stored.action, stored.provider_id, stored.occurred_at),
        name.label("provider_name"),
        details.answer[("given", "receipt")].label("receipt"),
        found.prepaid_minor,
        found.arrears_minor,
        found.reversals,
    ).select_from(joined)
