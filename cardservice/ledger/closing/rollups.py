"""Roll-ups: debits and credits of the providers' and the scheme's accounts, by day of settlement.

The worker that numbers transactions adds them, in the same database transaction: no sale ever waits
for such a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, and_, func, literal, select, union_all
from sqlalchemy.dialects import postgresql, sqlite

from cardservice.ledger.closing import sequencing
from cardservice.ledger.closing.models import account_rollup, ledger_sequence
from cardservice.ledger.models import ledger_transaction, transfer
from cardservice.ledger.values import AccountName

if TYPE_CHECKING:
    from cardservice.ledger.closing.sequencing import Position

_PAYERS = "payer:%"


@dataclass(frozen=True, slots=True)
class Turnover:
    """What an account has been debited and credited, in one unit."""

    debit_minor: int
    credit_minor: int

    @property
    def balance_minor(self) -> int:
        """What is owed to it; less than nothing is owed by it."""
        return self.credit_minor - self.debit_minor


def add(connection: Connection, before: "Position", after: "Position") -> None:
    """Add what was numbered from `before` to `after`; in the transaction that numbers it."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    entry, stored = ledger_sequence.c, account_rollup.c
    newly = and_(
        entry.shard == after.shard,
        entry.epoch == after.epoch,
        entry.sequence > before.sequence,
        entry.sequence <= after.sequence,
    )
    columns = ("shard", "account", "unit", "day", "debit_minor", "credit_minor")
    added = dialect.insert(account_rollup).from_select(columns, sums_by_day(newly))
    connection.execute(
        added.on_conflict_do_update(
            index_elements=[stored.shard, stored.account, stored.unit, stored.day],
            set_={
                "debit_minor": stored.debit_minor + added.excluded.debit_minor,
                "credit_minor": stored.credit_minor + added.excluded.credit_minor,
            },
        )
    )


def sums_by_day(entries: Any) -> Select[Any]:
    """The same sums, of the transfers of these entries of the sequence."""
    entry, moved = ledger_sequence.c, transfer.c
    joined = ledger_sequence.join(
        transfer, and_(moved.payer_id == entry.payer_id, moved.transaction_id == entry.transaction_id)
    )
    between = (entry.shard, moved.debit, moved.credit, moved.unit, entry.settled_on)
    # All of the transfers are gone through once: there are few pairs of accounts.
    pair = (
        select(*between, func.sum(moved.amount_minor).label("amount_minor"))
        .select_from(joined)
        .where(entries)
        .group_by(*between)
        .cte("pair")
        .c
    )
    sides = union_all(
        *(
            select(
                pair.shard,
                account.label("account"),
                pair.unit,
                pair.settled_on.label("day"),
                debit.label("debit_minor"),
                credit.label("credit_minor"),
            )
            for account, debit, credit in (
                (pair.debit, pair.amount_minor, literal(0)),
                (pair.credit, literal(0), pair.amount_minor),
            )
        )
    ).subquery("side")
    key = (sides.c.shard, sides.c.account, sides.c.unit, sides.c.day)
    return (
        select(*key, func.sum(sides.c.debit_minor), func.sum(sides.c.credit_minor))
        .where(sides.c.account.not_like(_PAYERS))
        .group_by(*key)
    )


def turnover(connection: Connection, account: AccountName) -> Mapping[str, Turnover]:
    """By unit: the roll-up and what has no number yet, together; as of the transaction's one moment.

    For a transaction that sees one moment (`Database.reading`): between two the worker may have added.
    """
    position = sequencing.read_position(connection)
    stored, moved, transaction = account_rollup.c, transfer.c, ledger_transaction.c
    rolled_up = select(stored.unit, stored.debit_minor, stored.credit_minor).where(
        stored.shard == position.shard, stored.account == account
    )
    joined = ledger_transaction.join(
        transfer, and_(moved.payer_id == transaction.payer_id, moved.transaction_id == transaction.id)
    )
    since = [
        select(moved.unit, debit, credit)
        .select_from(joined)
        .where(sequencing.unsequenced(connection, position), side == account)
        for side, debit, credit in (
            (moved.debit, moved.amount_minor, literal(0)),
            (moved.credit, literal(0), moved.amount_minor),
        )
    ]
    every = union_all(rolled_up, *since).subquery()
    unit, debit, credit = every.c
    rows = connection.execute(select(unit, func.sum(debit), func.sum(credit)).group_by(unit))
    # PostgreSQL adds up bigints to a numeric.
    return {row[0]: Turnover(int(row[1]), int(row[2])) for row in rows}
