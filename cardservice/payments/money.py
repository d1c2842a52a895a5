"""What a payment does to its payer's accounts, and what taking it back does."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from cardservice.cardholders.models import cardholder
from cardservice.ids import CardholderId
from cardservice.ledger.reversing import last_first, reversals
from cardservice.ledger.values import (
    PAYER_ARREARS,
    PAYER_PREPAID,
    AccountName,
    KnownTransaction,
    NewTransfer,
    PayerView,
)

# Ours: how much of a payment settles arrears, by the cardholder's category. Of a child's lunch money half
# stays to eat from.
ALL = 100
ARREARS_PERCENT: Mapping[str, int] = {"child": 50, "pupil": 50}


def arrears_percent(connection: Connection, holder: CardholderId) -> int:
    """How much of a payment for this cardholder settles arrears, in per cent."""
    category = connection.scalar(select(cardholder.c.category).where(cardholder.c.id == holder))
    return ARREARS_PERCENT.get(category or "", ALL)


def pay_in(
    view: PayerView, source: AccountName, amount_minor: int, unit: str, percent: int = ALL
) -> tuple[NewTransfer, ...]:
    """What a payment from `source` does: up to `percent` of it settles arrears, the rest is `prepaid`."""
    # Rounded up, so that what is owed ends some time.
    most_minor = -(-amount_minor * percent // 100)
    settled_minor = min(most_minor, -view.arrears.balance)
    targets = ((PAYER_ARREARS, settled_minor), (PAYER_PREPAID, amount_minor - settled_minor))
    return tuple(
        NewTransfer(debit=source, credit=target, amount_minor=share, unit=unit)
        for target, share in targets
        if share > 0
    )


def take_back(view: PayerView, payment: KnownTransaction, amount_minor: int) -> tuple[NewTransfer, ...]:
    """What reverses so much of a payment: from `prepaid` down to its floor, then from `arrears`."""
    available_minor = max(0, view.prepaid.available_minor)
    transfers: list[NewTransfer] = []
    for part in last_first(payment.transfers, amount_minor):
        own_minor = min(part.amount_minor, available_minor)
        available_minor -= own_minor
        source = part.of.debit
        shares = ((PAYER_PREPAID, source, own_minor), (PAYER_ARREARS, source, part.amount_minor - own_minor))
        transfers += reversals(payment.id, part.of, shares)
    return tuple(transfers)
