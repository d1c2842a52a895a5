"""What a provider is owed, day by day: what was sold and given back, by service, and never to whom.

By the day on which an entry settles, as account statements of payers go. Each line is added up from the
transfers that name the provider's account; each day is compared with the sum that the ledger keeps of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Date, Text, and_, case, func, literal, or_, select

from cardservice.ids import ProviderId
from cardservice.ledger.closing import sequencing
from cardservice.ledger.closing.models import account_rollup, ledger_sequence
from cardservice.ledger.models import ledger_transaction, transfer
from cardservice.ledger.statements import Period
from cardservice.ledger.values import AccountName, provider_payable
from cardservice.providers.models import provider


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLine:
    """What was sold and given back of one action of a service at one tax code, on one day.

    `transactions` have moved money for it: sales, days that were rated, and what gave back. `settled_on` is
    None for what has not settled yet.
    """

    settled_on: date | None
    service: str
    action: str
    tax_code: str
    unit: str
    transactions: int
    charged_minor: int
    given_back_minor: int
    tax_minor: int

    @property
    def owed_minor(self) -> int:
        """What the provider is owed for it."""
        return self.charged_minor - self.given_back_minor


@dataclass(frozen=True, slots=True)
class ProviderStatement:
    """What a provider was owed before a period, its lines, and what after it.

    `unsettled` is what has no day yet: it is in no sum. `off` are days that do not add up to the ledger.
    """

    provider_id: ProviderId
    period: Period
    unit: str
    opening_minor: int
    lines: tuple[ProviderLine, ...]
    unsettled: tuple[ProviderLine, ...]
    off: tuple[date, ...]

    @property
    def closing_minor(self) -> int:
        """What the provider is owed at the end of the period."""
        return self.opening_minor + sum(line.owed_minor for line in self.lines)


def provider_statement(
    connection: Connection, provider_id: ProviderId, period: Period, unit: str
) -> ProviderStatement | None:
    """A provider's statement, as of the transaction's one moment; None: there is no such provider."""
    if connection.scalar(select(provider.c.id).where(provider.c.id == provider_id)) is None:
        return None
    account, settled = provider_payable(provider_id), ledger_sequence.c.settled_on
    lines = tuple(_lines(connection, account, unit, settled.between(period.first, period.last)))
    return ProviderStatement(
        provider_id,
        period,
        unit,
        _kept(connection, account, unit, account_rollup.c.day < period.first).get(None, 0),
        lines,
        tuple(_lines(connection, account, unit, None)),
        tuple(_off(connection, account, unit, period, lines)),
    )


def owed_in_all(connection: Connection, provider_id: ProviderId, unit: str) -> tuple[int, int]:
    """What a provider is owed in minor units: of what has settled, whenever, and of what has not yet."""
    account = provider_payable(provider_id)
    settled = _kept(connection, account, unit, account_rollup.c.account == account).get(None, 0)
    return settled, sum(line.owed_minor for line in _lines(connection, account, unit, None))


def _off(
    connection: Connection, account: AccountName, unit: str, period: Period, lines: tuple[ProviderLine, ...]
) -> Iterator[date]:
    within = account_rollup.c.day.between(period.first, period.last)
    kept = _kept(connection, account, unit, within, by_day=True)
    added: dict[date | None, int] = {}
    for line in lines:
        added[line.settled_on] = added.get(line.settled_on, 0) + line.owed_minor
    for day in sorted(each for each in kept.keys() | added.keys() if each is not None):
        if kept.get(day, 0) != added.get(day, 0):
            yield day


def _kept(
    connection: Connection,
    account: AccountName,
    unit: str,
    when: ColumnElement[bool],
    *,
    by_day: bool = False,
) -> dict[date | None, int]:
    """What the ledger keeps as the account's sum of some days; of all of them together under None."""
    own = account_rollup.c
    total = func.sum(own.credit_minor - own.debit_minor)
    query = select(own.day if by_day else literal(None, Date), total)
    query = query.where(own.account == account, own.unit == unit, when)
    rows = connection.execute(query.group_by(own.day) if by_day else query)
    return {day: int(found) for day, found in rows if found is not None}


def _lines(
    connection: Connection, account: AccountName, unit: str, when: ColumnElement[bool] | None
) -> Iterator[ProviderLine]:
    entry, stored, moved = ledger_sequence.c, ledger_transaction.c, transfer.c
    first = ledger_transaction.alias("first")
    # What gives back is told under what it gives back of: an annulment names no service itself.
    undone = and_(first.c.payer_id == moved.payer_id, first.c.id == moved.reverses_transaction)
    service, action = (
        func.coalesce(getattr(first.c, name), getattr(stored, name), literal("", Text))
        for name in ("service", "action")
    )
    numbered = and_(entry.payer_id == moved.payer_id, entry.transaction_id == moved.transaction_id)
    day: Any = literal(None, Date) if when is None else entry.settled_on
    code = func.coalesce(moved.tax_code, "")
    joined = transfer.join(
        ledger_transaction, and_(stored.payer_id == moved.payer_id, stored.id == moved.transaction_id)
    ).outerjoin(first, undone)
    if when is not None:
        joined = joined.join(ledger_sequence, numbered)
    charged = case((moved.credit == account, moved.amount_minor), else_=0)
    given_back = case((moved.debit == account, moved.amount_minor), else_=0)
    sign = case((moved.credit == account, 1), else_=-1)
    key = (service, action, code) if when is None else (day, service, action, code)
    rows = connection.execute(
        select(
            *(day, service, action, code, func.count(moved.transaction_id.distinct())),
            *(func.sum(charged), func.sum(given_back), func.sum(sign * func.coalesce(moved.tax_minor, 0))),
        )
        .select_from(joined)
        .where(
            or_(moved.debit == account, moved.credit == account),
            moved.unit == unit,
            sequencing.unsequenced(connection, sequencing.read_position(connection))
            if when is None
            else when,
        )
        .group_by(*key)
        .order_by(*key)
    )
    for settled_on, name, done, tax_code, count, up, down, tax in rows:
        yield ProviderLine(
            settled_on=settled_on,
            service=name,
            action=done,
            tax_code=tax_code,
            unit=unit,
            transactions=count,
            charged_minor=int(up),
            given_back_minor=int(down),
            tax_minor=int(tax),
        )
