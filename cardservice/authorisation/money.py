"""From what is owed to the transfers that pay it, and back."""

from collections.abc import Iterable, Sequence

from cardservice.ids import ProviderId
from cardservice.ledger.reversing import given_back, last_first
from cardservice.ledger.values import (
    PAYER_ARREARS,
    PAYER_PREPAID,
    PAYER_RESERVED,
    AccountView,
    KnownTransaction,
    NewTransfer,
    PayerView,
    provider_payable,
)
from cardservice.services.seam import Line


def shortfall(view: PayerView, lines: Sequence[Line], released_minor: int = 0) -> int:
    """How much `prepaid` lacks for the lines, in minor units; 0 where all that costs may end in arrears.

    What may end there is paid first: so nothing else is bought with money that it would have needed. What is
    released of holds is there again.
    """
    if not any(line.amount_minor and not line.may_end_in_arrears for line in lines):
        return 0
    available_minor = view.prepaid.available_minor + released_minor
    return max(0, sum(line.amount_minor for line in lines) - available_minor)


def pay(
    view: PayerView, lines: Iterable[Line], provider: ProviderId, unit: str, released_minor: int = 0
) -> tuple[NewTransfer, ...]:
    """What pays the lines: `prepaid` down to its floor, then `arrears`; nothing for what is free.

    What may end in arrears is paid first, as `shortfall` reckons. Nobody owes what is held: of that there is
    as much as there was money.
    """
    available_minor = view.prepaid.available_minor + released_minor
    transfers = []
    for line in sorted(lines, key=lambda line: not line.may_end_in_arrears):
        from_prepaid = min(line.amount_minor, max(0, available_minor))
        available_minor -= from_prepaid
        owed_minor = 0 if line.held else line.amount_minor - from_prepaid
        transfers += [
            NewTransfer(
                debit=source,
                credit=PAYER_RESERVED if line.held else provider_payable(provider),
                amount_minor=amount_minor,
                unit=unit,
                tax_code=line.tax_code,
                supplier=None if line.held else provider,
            )
            for source, amount_minor in ((PAYER_PREPAID, from_prepaid), (PAYER_ARREARS, owed_minor))
            if amount_minor > 0
        ]
    return tuple(transfers)


def reverse(view: PayerView, sale: KnownTransaction) -> tuple[NewTransfer, ...]:
    """What gives back all that is left of a sale, the last source first."""
    return given_back(sale.id, last_first(sale.own_transfers), -view.arrears.balance)


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
