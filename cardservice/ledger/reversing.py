"""What gives back: each part to the account that it came from, at the tax that it was sold with.

Pure functions over what was read. That nothing is given back beyond its amount, or twice, the tables see to.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cardservice.ids import TransactionId
from cardservice.ledger.values import (
    PAYER_ARREARS,
    PAYER_PREPAID,
    AccountName,
    NewTransfer,
    StoredTransfer,
)

_NOTHING_BEFORE: Mapping[int, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Part:
    """So much of a transfer that was posted."""

    of: StoredTransfer
    amount_minor: int


def last_first(lines: Iterable[StoredTransfer], amount_minor: int | None = None) -> tuple[Part, ...]:
    """What is left of these transfers, the last source first; at most `amount_minor` in all, where given."""
    parts = []
    for line in sorted(lines, key=lambda line: line.line, reverse=True):
        left_minor = line.amount_minor - line.reversed_minor
        share_minor = left_minor if amount_minor is None else min(left_minor, amount_minor)
        if amount_minor is not None:
            amount_minor -= share_minor
        if share_minor > 0:
            parts.append(Part(line, share_minor))
    return tuple(parts)


def tax_included(gross_minor: int, rate_bp: int) -> int:
    """The tax that an amount includes, rounded half up."""
    return (2 * gross_minor * rate_bp + 10_000 + rate_bp) // (2 * (10_000 + rate_bp))


def given_back(
    transaction: TransactionId,
    parts: Iterable[Part],
    owed_minor: int,
    before: Mapping[int, int] = _NOTHING_BEFORE,
) -> tuple[NewTransfer, ...]:
    """The transfers that reverse these parts of a transaction, in their order, for who owes so much.

    What came from arrears that have been settled since was paid with money by now: it goes to `prepaid`.
    `before` says of a transfer how much of its line of the receipt those before it have paid: the tax that
    goes back is then the same however many pay for the line.
    """
    transfers: list[NewTransfer] = []
    for part in parts:
        targets = [(part.of.debit, part.amount_minor)]
        if part.of.debit == PAYER_ARREARS:
            to_arrears = min(part.amount_minor, owed_minor)
            owed_minor -= to_arrears
            targets = [(PAYER_ARREARS, to_arrears), (PAYER_PREPAID, part.amount_minor - to_arrears)]
        shares = ((part.of.credit, target, share_minor) for target, share_minor in targets)
        transfers += reversals(transaction, part.of, shares, before.get(part.of.line, 0))
    return tuple(transfers)


def reversals(
    transaction: TransactionId,
    line: StoredTransfer,
    shares: Iterable[tuple[AccountName, AccountName, int]],
    before_minor: int = 0,
) -> Iterator[NewTransfer]:
    """Transfers that reverse a line in these shares (debit, credit, amount), those of nothing left out."""
    done_minor = line.reversed_minor
    for debit, credit, amount_minor in shares:
        if amount_minor <= 0:
            continue
        tax_minor = _tax(line, done_minor, amount_minor, before_minor)
        done_minor += amount_minor
        yield NewTransfer(
            debit=debit,
            credit=credit,
            amount_minor=amount_minor,
            unit=line.unit,
            tax_code=line.tax_code,
            tax_rate_bp=line.tax_rate_bp,
            net_minor=None if tax_minor is None else amount_minor - tax_minor,
            tax_minor=tax_minor,
            supplier=line.supplier,
            reverses_transaction=transaction,
            reverses_line=line.line,
        )


def _tax(line: StoredTransfer, done_minor: int, amount_minor: int, before_minor: int) -> int | None:
    """The tax in the next `amount_minor` of a line of which `done_minor` have been given back."""
    if line.tax_minor is None:
        return None
    if line.tax_rate_bp is not None:
        ends_minor = before_minor + line.amount_minor
        beginning = tax_included(before_minor, line.tax_rate_bp)
        if tax_included(ends_minor, line.tax_rate_bp) - beginning == line.tax_minor:
            left_minor = ends_minor - done_minor
            kept = tax_included(left_minor - amount_minor, line.tax_rate_bp)
            return tax_included(left_minor, line.tax_rate_bp) - kept
    return _tax_up_to(line, line.tax_minor, done_minor + amount_minor) - _tax_up_to(
        line, line.tax_minor, done_minor
    )


def _tax_up_to(line: StoredTransfer, tax_minor: int, minor: int) -> int:
    # Rounded from the beginning of the line each time, never part by part: so parts of any size add up.
    return (2 * tax_minor * minor + line.amount_minor) // (2 * line.amount_minor)
