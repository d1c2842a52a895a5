"""What an account statement consists of."""

from dataclasses import dataclass
from datetime import date, datetime

from cardservice.ids import PayerId, ProviderId, TransactionId
from cardservice.ledger.errors import StatementInvalid


@dataclass(frozen=True, slots=True)
class Money:
    """What is in `prepaid` and in `arrears`, or what changes there; what is owed is below zero."""

    prepaid_minor: int = 0
    arrears_minor: int = 0

    def __add__(self, other: "Money") -> "Money":
        """Both together."""
        return Money(self.prepaid_minor + other.prepaid_minor, self.arrears_minor + other.arrears_minor)

    def __sub__(self, other: "Money") -> "Money":
        """What is left without the other."""
        return Money(self.prepaid_minor - other.prepaid_minor, self.arrears_minor - other.arrears_minor)

    @property
    def total_minor(self) -> int:
        """What there is, less what is owed."""
        return self.prepaid_minor + self.arrears_minor


@dataclass(frozen=True, slots=True)
class Period:
    """Days of settlement, the last included. Raises StatementInvalid where it ends before it begins."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise StatementInvalid(f"the statement would end on {self.last}, before {self.first}; turn them")


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """The place of an entry in the ledger sequence: the next page begins after it."""

    settled_on: date
    epoch: int
    sequence: int

    def __str__(self) -> str:
        """As it is handed out, such as 2026-11-24.0.17."""
        return f"{self.settled_on.isoformat()}.{self.epoch}.{self.sequence}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """What `str` made. Raises StatementInvalid."""
        try:
            day, epoch, number = text.split(".")
            found = cls(date.fromisoformat(day), int(epoch), int(number))
        except ValueError:
            found = None
        # The columns' own bounds: a number beyond them is none of ours.
        if found is None or not (0 <= found.epoch < 2**31 and 0 < found.sequence < 2**63):
            raise StatementInvalid(f"{text[:60]!r} is no cursor; give the one of the page before")
        return found


@dataclass(frozen=True, slots=True)
class Undone:
    """A transaction that a line gives something back of."""

    transaction: TransactionId
    kind: str
    service: str | None
    action: str | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """What one transaction did to the payer's money, as far as the ledger still says.

    `items` are the labels of its receipt; none where its details were erased, or where it had no receipt.
    `place` and `balance`, the money after it, are None for what has not settled yet. `late`: it occurred
    before the day that it settled on.
    """

    transaction: TransactionId
    kind: str
    service: str | None
    action: str | None
    provider_id: ProviderId | None
    provider_name: str | None
    items: tuple[str, ...]
    reverses: tuple[Undone, ...]
    occurred_at: datetime
    moved: Money
    place: Cursor | None = None
    late: bool = False
    balance: Money | None = None


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Lines in their order, with the money before the first and after the last of them.

    `next` is the cursor of the page after this one. The last page has none; it alone tells, as of the same
    moment, what has not settled yet.
    """

    payer_id: PayerId
    period: Period
    unit: str
    opening: Money
    lines: tuple[StatementLine, ...]
    closing: Money
    next: Cursor | None
    unsettled: tuple[StatementLine, ...]
