"""From what is owed to the transfers that pay it, and back."""

from collections.abc import Iterable, Iterator, Sequence

from cardservice.ids import ProviderId
from cardservice.ledger.reversing import given_back, last_first, tax_included
from cardservice.ledger.values import (
    PAYER_ARREARS,
    PAYER_PREPAID,
    PAYER_RESERVED,
    AccountName,
    AccountView,
    KnownTransaction,
    NewTransfer,
    PayerView,
    provider_payable,
    scheme_subsidy,
)
from cardservice.services.seam import Funding, Line


def shortfall(
    view: PayerView, lines: Sequence[Line], released_minor: int = 0, funding: Sequence[Funding] = ()
) -> int:
    """How much `prepaid` lacks for the lines, in minor units; 0 where all that costs may end in arrears.

    What may end there is paid first: so nothing else is bought with money that it would have needed. What is
    released of holds is there again. What programmes pay counts as if it were there: who has as much to spend
    is answered alike.
    """
    if not any(line.amount_minor and not line.may_end_in_arrears for line in lines):
        return 0
    return max(0, sum(line.amount_minor for line in lines) - spendable(view, released_minor, funding))


def spendable(view: PayerView, released_minor: int, funding: Sequence[Funding]) -> int:
    """What there is to spend on a sale: of the payer's own, and of the programmes that pay towards it."""
    return view.prepaid.available_minor + released_minor + sum(each.amount_minor for each in funding)


def pay(
    view: PayerView,
    lines: Iterable[Line],
    provider: ProviderId,
    unit: str,
    released_minor: int = 0,
    funding: Sequence[Funding] = (),
) -> tuple[NewTransfer, ...]:
    """What pays the lines: programmes, `prepaid` down to its floor, then `arrears`; nothing for what is free.

    What may end in arrears is paid first, as `shortfall` reckons. Nobody owes what is held: of that there is
    as much as there was money.
    """
    purses = [(scheme_subsidy(each.funder, each.programme), each.amount_minor) for each in funding]
    purses.append((PAYER_PREPAID, max(0, view.prepaid.available_minor + released_minor)))
    transfers: list[NewTransfer] = []
    for line in sorted(lines, key=lambda line: not line.may_end_in_arrears):
        shares, due_minor = [], line.amount_minor
        for at, (source, left_minor) in enumerate(purses):
            share_minor = min(due_minor, left_minor)
            purses[at] = (source, left_minor - share_minor)
            due_minor -= share_minor
            shares.append((source, share_minor))
        shares.append((PAYER_ARREARS, 0 if line.held else due_minor))
        transfers += _paid(line, [share for share in shares if share[1] > 0], provider, unit)
    return tuple(transfers)


def _paid(
    line: Line, shares: Sequence[tuple[AccountName, int]], provider: ProviderId, unit: str
) -> Iterator[NewTransfer]:
    """A transfer for each source of a line. Tax is rounded once for the line, so that shares add up to it."""
    before_minor = 0
    for source, amount_minor in shares:
        tax_minor = None
        if line.tax_rate_bp is not None:
            upto_minor = before_minor + amount_minor
            tax_minor = tax_included(upto_minor, line.tax_rate_bp) - tax_included(
                before_minor, line.tax_rate_bp
            )
        before_minor += amount_minor
        yield NewTransfer(
            debit=source,
            credit=PAYER_RESERVED if line.held else provider_payable(provider),
            amount_minor=amount_minor,
            unit=unit,
            tax_code=line.tax_code,
            tax_rate_bp=line.tax_rate_bp,
            net_minor=None if tax_minor is None else amount_minor - tax_minor,
            tax_minor=tax_minor,
            supplier=None if line.held else provider,
        )


def reverse(view: PayerView, sale: KnownTransaction) -> tuple[NewTransfer, ...]:
    """What gives back all that is left of a sale, the last source first."""
    return given_back(sale.id, last_first(sale.own_transfers), -view.arrears.balance, paid_before(sale))


def paid_before(sale: KnownTransaction) -> dict[int, int]:
    """Of each transfer of a sale, how much of its line of the receipt those before it have paid.

    Nothing where the answer has been erased, which says what belongs to which line.
    """
    numbers = (sale.answer or {}).get("receipt_lines", ())
    paid: dict[int, int] = {}
    before: dict[int, int] = {}
    for transfer, number in zip(sale.transfers, numbers, strict=False):
        before[transfer.line] = paid.get(number, 0)
        paid[number] = before[transfer.line] + transfer.amount_minor
    return before


def receipt_lines(lines: Sequence[Line], transfers: Sequence[NewTransfer]) -> tuple[int, ...]:
    """Of each transfer that `pay` made of these lines, the line of the receipt that it pays, from 1.

    One that gives something back, of a hold, pays none: it stands as 0.
    """
    numbered = sorted(enumerate(lines, 1), key=lambda numbered: not numbered[1].may_end_in_arrears)
    left = [(number, line.amount_minor) for number, line in numbered if line.amount_minor]
    paid = []
    for transfer in transfers:
        if transfer.reverses_transaction is not None:
            paid.append(0)
            continue
        number, due_minor = left.pop(0)
        paid.append(number)
        if due_minor > transfer.amount_minor:
            left.insert(0, (number, due_minor - transfer.amount_minor))
    return tuple(paid)


def balances_after(view: PayerView, transfers: Sequence[NewTransfer]) -> tuple[tuple[AccountView, int], ...]:
    """Each of the payer's accounts with its balance once the transfers are posted."""
    return tuple(
        (
            account,
            account.balance
            + sum(transfer.amount_minor for transfer in transfers if transfer.credit == account.name)
            - sum(transfer.amount_minor for transfer in transfers if transfer.debit == account.name),
        )
        for account in view.accounts
    )
