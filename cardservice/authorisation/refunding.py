"""What a refund gives back: a line of the receipt or all of it, or a part, to the sources it came from.

Pure functions: what is asked for becomes a plan, or a reason why not.
"""

from dataclasses import dataclass

from cardservice.authorisation.counting import taken_back
from cardservice.authorisation.money import balances_after, paid_before
from cardservice.authorisation.reasons import Reason
from cardservice.ids import TransactionId
from cardservice.ledger.reversing import given_back, last_first
from cardservice.ledger.values import (
    AccountView,
    CounterChange,
    KnownTransaction,
    NewTransfer,
    PayerView,
    StoredTransfer,
)
from cardservice.services.seam import Line

SALES = ("request", "advice")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be given back of a sale: of one line or of all of it, an amount or all that is left."""

    sale: TransactionId
    line: int | None = None
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a refund posts."""

    sale: KnownTransaction
    lines: tuple[Line, ...]
    transfers: tuple[NewTransfer, ...]
    counters: tuple[CounterChange, ...]
    balances: tuple[tuple[AccountView, int], ...]

    @property
    def amount_minor(self) -> int:
        """What is given back in all."""
        return sum(transfer.amount_minor for transfer in self.transfers)


@dataclass(frozen=True, slots=True)
class Objection:
    """Why nothing is given back; `left_minor` is what could be."""

    reason: Reason
    message: str
    left_minor: int = 0


def plan(view: PayerView, sale: KnownTransaction | None, wish: Wish) -> Plan | Objection:
    """What gives back what is wished for."""
    if sale is None or sale.kind not in SALES or not sale.stands:
        return Objection(Reason.NOTHING_TO_REFUND, _why_not(sale))
    lines = list(sale.own_transfers) if wish.line is None else _of_line(sale, wish.line)
    left_minor = sum(line.amount_minor - line.reversed_minor for line in lines)
    if left_minor == 0:
        return Objection(Reason.NOTHING_TO_REFUND, "Nothing of this is left to give back.")
    wanted_minor = left_minor if wish.amount_minor is None else wish.amount_minor
    if wanted_minor > left_minor:
        return Objection(Reason.MORE_THAN_LEFT, "That is more than is left to give back.", left_minor)
    parts = last_first(lines, wanted_minor)
    transfers = given_back(sale.id, parts, -view.arrears.balance, paid_before(sale))
    return Plan(
        sale=sale,
        lines=(Line(label=_label(sale, wish.line), amount_minor=wanted_minor),),
        transfers=transfers,
        counters=taken_back(sale, view, transfers),
        balances=balances_after(view, transfers),
    )


def _of_line(sale: KnownTransaction, line: int) -> list[StoredTransfer]:
    """What paid a line of the receipt. Where that is not kept (any more), the ledger's own lines count."""
    stored = (sale.answer or {}).get("receipt_lines")
    numbers = stored or [transfer.line for transfer in sale.transfers]
    paid = zip(sale.transfers, numbers, strict=True)
    return [line_paid for line_paid, number in paid if number == line and line_paid in sale.own_transfers]


def _label(sale: KnownTransaction, line: int | None) -> str:
    receipt = (sale.answer or {}).get("given", {}).get("receipt", [])
    if line is not None and line <= len(receipt):
        return str(receipt[line - 1]["label"])
    return f"{sale.service} {sale.action}"


def _why_not(sale: KnownTransaction | None) -> str:
    if sale is None:
        return "There is no such sale."
    if sale.duplicate_of is not None:
        return f"It stands for {sale.duplicate_of}, which was charged: name that one."
    if sale.kind == "rating":
        return "A day's charge is rated anew, or goodwill is given."
    if sale.kind not in SALES:
        return "Only sales are refunded."
    return "Nothing was charged, or it was annulled."
