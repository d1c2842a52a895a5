"""The queries of an account statement: each entry is looked up once, by its whole key.

Each is built once for a kind of database: to build one takes longer than to ask it. The values are `asked`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Date,
    Integer,
    Row,
    Select,
    Uuid,
    and_,
    bindparam,
    case,
    except_,
    func,
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
from cardservice.ledger.models import account, ledger_transaction, transaction_details, transfer
from cardservice.ledger.statements.values import Cursor, Period
from cardservice.ledger.values import PAYER_ARREARS, PAYER_PREPAID
from cardservice.providers.models import provider

_OWN = (PAYER_PREPAID, PAYER_ARREARS)
_PAYER = bindparam("payer", type_=Uuid())
_ENTRY = ledger_sequence.c
# The payer comes first in what places are compared by, though it is given anyway: a planner whose figures end
# before today takes today for a day of few entries, and would go through everybody's to find this payer's.
_PLACE = tuple_(_ENTRY.payer_id, _ENTRY.settled_on, _ENTRY.epoch, _ENTRY.sequence)
_START = tuple_(
    _PAYER,
    bindparam("start_day", type_=Date()),
    bindparam("start_epoch", type_=Integer()),
    bindparam("start_sequence", type_=BigInteger()),
)
_AFTER_START = _PLACE > _START
_IN_PERIOD = tuple_(_ENTRY.payer_id, _ENTRY.settled_on) <= tuple_(_PAYER, bindparam("last_day", type_=Date()))


@dataclass(frozen=True, slots=True)
class Kind:
    """What a query depends on beside its values."""

    dialect: str
    clustered: bool

    @classmethod
    def of(cls, connection: Connection) -> Self:
        """That of the database of this connection."""
        return cls(connection.dialect.name, on_cluster(connection))


def asked(payer_id: PayerId, period: Period, after: Cursor | None) -> dict[str, object]:
    """The values of each query: the page begins after `after`, or where its period does."""
    # Before the first of the day: epochs begin at 0.
    start = Cursor(period.first, -1, 0)
    if after is not None:
        start = max(start, after)
    return {
        "payer": payer_id,
        "start_day": start.settled_on,
        "start_epoch": start.epoch,
        "start_sequence": start.sequence,
        "last_day": period.last,
    }


@cache
def begun() -> Select[Any]:
    """What the payer has, in which unit (NULL: there is no such payer), and how many entries lie where.

    `stored` are all, `numbered` those with a number; of these `earlier` lie before the page, and `later`
    after the period. They are counted in indexes.
    """
    own, stored = account.c, ledger_transaction.c
    held = (
        select(
            func.max(own.unit).label("unit"),
            *(func.sum(case((own.kind == kind, own.balance), else_=0)).label(kind) for kind in _KINDS),
        )
        .where(own.payer_id == _PAYER, own.kind.in_(_KINDS))
        .subquery("held")
    )
    entries = (
        select(
            func.count().label("numbered"),
            func.count().filter(~_AFTER_START).label("earlier"),
            func.count().filter(~_IN_PERIOD).label("later"),
        )
        .where(_ENTRY.payer_id == _PAYER)
        .subquery("entries")
    )
    every = select(func.count().label("stored")).where(stored.payer_id == _PAYER).subquery("every")
    return select(held, entries, every).join_from(held, entries, true()).join(every, true())


_KINDS = ("prepaid", "arrears")


@cache
def settled(kind: Kind, *, limited: bool) -> Select[Any]:
    """Rows of the lines of a page, in their order; of `limited` ones as many as the value `size` says."""
    entry = _with_changes(kind, _numbered(_AFTER_START, _IN_PERIOD)).subquery("entry")
    found = entry.c
    order = (found.settled_on, found.epoch, found.sequence)
    moved = select(entry).where(found.prepaid_minor.is_not(None)).order_by(*order)
    lines = (moved.limit(bindparam("size", type_=Integer())) if limited else moved).subquery("moved")
    place = (lines.c.settled_on, lines.c.epoch, lines.c.sequence)
    return _lines(kind, lines).add_columns(*place, lines.c.late).order_by(*place)


@cache
def waiting(kind: Kind) -> Select[Any]:
    """Rows of the lines that have no number yet."""
    stored = ledger_transaction.c
    # One index less another, each by the payer: by where the worker has come, all that waits in the whole
    # ledger would be gone through, and by each entry, how it is looked up were the planner's choice.
    unnumbered = except_(
        select(stored.payer_id, stored.id.label("transaction_id")).where(stored.payer_id == _PAYER),
        select(_ENTRY.payer_id, _ENTRY.transaction_id).where(_ENTRY.payer_id == _PAYER),
    )
    entry = _with_changes(kind, unnumbered.subquery("waiting")).subquery("entry")
    lines = _lines(kind, entry).where(entry.c.prepaid_minor.is_not(None))
    return lines.order_by(stored.posted_at, stored.id)


@cache
def moved_before(kind: Kind) -> Select[Any]:
    """What the entries before a page have moved, together."""
    return _moved(kind, ~_AFTER_START)


@cache
def moved_since(kind: Kind) -> Select[Any]:
    """What all entries from the beginning of a page on have moved, together."""
    return _moved(kind, _AFTER_START)


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


def _numbered(*where: ColumnElement[bool]) -> FromClause:
    return select(ledger_sequence).where(_ENTRY.payer_id == _PAYER, *where).subquery("numbered")


def _with_changes(kind: Kind, entries: FromClause) -> Select[Any]:
    """Entries with what each did to both accounts, NULL where it moved neither, and how much it gives back.

    Looked up from each entry, not joined: a database that takes the payer for one with few entries would go
    through all of the transfers for each entry. So it can but look each up by its whole key.
    """
    moved, entry = transfer.c, entries.c
    same = and_(
        moved.payer_id == entry.payer_id,
        moved.transaction_id == entry.transaction_id,
        _is_own(),
        *_whose(kind, moved.payer_id),
    )
    if kind.dialect == "sqlite":
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
    sides = (transfer.c.debit, transfer.c.credit)
    return or_(*(side == name for side in sides for name in _OWN))


def _moved(kind: Kind, where: ColumnElement[bool]) -> Select[Any]:
    changed = _with_changes(kind, _numbered(where)).subquery("changed").c
    # Of nothing a sum is NULL.
    sums = (func.sum(each).label(each.name) for each in (changed.prepaid_minor, changed.arrears_minor))
    return select(*(func.coalesce(each, 0).label(each.name) for each in sums))


def _whose(kind: Kind, *columns: ColumnElement[UUID]) -> list[ColumnElement[bool]]:
    """For a cluster, which sees that one shard has all that is wanted only where each table is told so."""
    return [column == _PAYER for column in columns] if kind.clustered else []


def names_beside(connection: Connection, kind: Kind, rows: Iterable[Row[Any]]) -> Mapping[str, str]:
    """On a cluster the providers of these lines by their ids; elsewhere the lines have their names."""
    wanted = {row.provider_id for row in rows} - {None} if kind.clustered else set()
    if not wanted:
        return {}
    named = select(provider.c.id, provider.c.name).where(provider.c.id.in_(wanted))
    return {row.id: row.name for row in connection.execute(named)}


def _lines(kind: Kind, moved: Subquery) -> Select[Any]:
    stored, details, found = ledger_transaction.c, transaction_details.c, moved.c
    # By the payer of each row, not by the one asked for: see `_with_changes`.
    joined = moved.join(
        ledger_transaction,
        and_(
            stored.payer_id == found.payer_id,
            stored.id == found.transaction_id,
            *_whose(kind, stored.payer_id),
        ),
    ).outerjoin(
        transaction_details,
        and_(
            details.payer_id == found.payer_id,
            details.transaction_id == found.transaction_id,
            *_whose(kind, details.payer_id),
        ),
    )
    name: ColumnElement[Any] = null()
    # On a cluster providers lie elsewhere than entries: `names_beside` has them.
    if not kind.clustered:
        joined, name = joined.outerjoin(provider, provider.c.id == stored.provider_id), provider.c.name
    return select(
        *(stored.id, stored.kind, stored.service, stored.action, stored.provider_id, stored.occurred_at),
        name.label("provider_name"),
        details.answer[("given", "receipt")].label("receipt"),
        found.prepaid_minor,
        found.arrears_minor,
        found.reversals,
    ).select_from(joined)
