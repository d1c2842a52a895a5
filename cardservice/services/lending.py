"""What a service that lends says beside the seam: who may borrow, until when, and what lateness costs.

Values alone, as in the seam. Members, copies, loans and queues are kept by `cardservice.circulation`, which
looks them up, asks here, and writes down what is answered; a service that lends nothing leaves it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable
from uuid import UUID

from cardservice.services.seam import Refusal


class Who(StrEnum):
    """Whose a thing is, as the one who asks sees it; nobody is told who the other is."""

    NOBODY = "nobody"
    SELF = "self"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrower:
    """What rules may know of a member: no name, no titles.

    `on_loan` has the class of each thing that is lent to them; `barred` is by a librarian's word, `off` where
    the holder has switched the service off.
    """

    category: str
    on_loan: tuple[str, ...] = ()
    overdue: int = 0
    owed_minor: int = 0
    holds: int = 0
    barred: bool = False
    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyView:
    """A copy as the one who wants it finds it: who has it, and for whom it is kept."""

    item_class: str
    withdrawn: bool = False
    lent_to: Who = Who.NOBODY
    kept_for: Who = Who.NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class TitleView:
    """A title as the one who wants to reserve it finds it."""

    item_class: str
    copies: int
    held_by_self: bool = False
    lent_to_self: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanView:
    """A loan that stands. `due_on` is its last day, by the library's clock."""

    item_class: str
    lent_at: datetime
    due_on: date
    renewals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """Until which day something is lent; `flags` is what would have refused it, were it not done already."""

    due_on: date
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """How many days of those that count a loan was late, and what that costs."""

    days: int
    fine_minor: int


@runtime_checkable
class Lending(Protocol):
    """A service that lends. Pure, as its rules are; `lent_under` is the tariff that a loan was made under."""

    @property
    def name(self) -> str:
        """The service's name."""
        ...

    def member_class(self, category: str, tariff: object) -> str | None:
        """The class of member that a category of cardholder is in; None where it may not join."""
        ...

    def item_classes(self, tariff: object) -> Mapping[str, str]:
        """The classes of things that are lent, each with its name."""
        ...

    def local_day(self, moment: datetime, tariff: object) -> date:
        """The day by the clock there."""
        ...

    def block(self, borrower: Borrower, tariff: object) -> Refusal | None:
        """What keeps somebody from borrowing anything; None for nothing."""
        ...

    def lend(
        self, borrower: Borrower, copy: CopyView, moment: datetime, tariff: object, *, done: bool = False
    ) -> Lent | Refusal:
        """Until when; or why not. What is `done` has been given away already: what it breaks is a flag."""
        ...

    def renew(
        self, borrower: Borrower, loan: LoanView, wanted: int, moment: datetime, tariff: object
    ) -> Lent | Refusal:
        """Until when it is lent on, where so many others wait for the title; or why not."""
        ...

    def late(self, category: str, loan: LoanView, moment: datetime, lent_under: object) -> Late:
        """What bringing a loan back at a moment costs."""
        ...

    def reserve(
        self, borrower: Borrower, title: TitleView, moment: datetime, tariff: object
    ) -> Refusal | None:
        """Why somebody may not queue for a title; None where they may."""
        ...

    def kept_until(self, moment: datetime, tariff: object) -> date:
        """The last day on which a copy is kept for somebody from a moment on."""
        ...

    def fines_key(self, cardholder: UUID) -> str:
        """What a person's fines are kept under: nobody finds a person's by it without the service's key."""
        ...
