"""The seam between whoever serves a reader (a desk, a self-check machine) and the system that lends.

`BuiltIn` is ours; `cardservice.sip2.remote` is somebody else's, over SIP2. What is refused is an answer with
its reason; what raises is that the system cannot be asked (`LibraryAway`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

# What an outcome's reason is where nothing is refused.
DONE = "done"


class Pin(StrEnum):
    """What came of a PIN."""

    NOT_GIVEN = "not_given"
    RIGHT = "right"
    WRONG = "wrong"
    # Too many wrong ones: none is looked at for a while.
    LOCKED = "locked"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnLoan:
    """A thing that somebody has."""

    copy: str
    title: str
    due_on: date | None
    overdue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What somebody waits for; with a copy it waits for them."""

    title: str
    copy: str | None = None
    kept_until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Patron:
    """A reader as the system knows them; `block` is why they may not borrow, if they may not."""

    barcode: str
    name: str
    pin: Pin
    currency: str
    owed_minor: int = 0
    block: str | None = None
    block_message: str = ""
    on_loan: tuple[OnLoan, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    # What each fine was; what has been paid of them together is not among them.
    fines: tuple[int, ...] = ()
    # What a remote system said of them in SIP2's fourteen letters.
    letters: str | None = None

    @property
    def overdue(self) -> tuple[OnLoan, ...]:
        """What should be back already."""
        return tuple(each for each in self.on_loan if each.overdue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A copy, and whether it can be had."""

    copy: str
    title: str
    state: str
    due_on: date | None = None
    queue: int = 0
    home: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of something that was asked."""

    ok: bool
    reason: str = DONE
    message: str = ""
    copy: str = ""
    title: str = ""
    due_on: date | None = None
    renewed: bool = False
    fine_minor: int = 0
    # Of a copy that is back: whether somebody waits for it, and where it belongs.
    kept: bool = False
    home: str = ""
    flags: tuple[str, ...] = field(default=())


class LibrarySystem(Protocol):
    """What lends. `by` is who asks for the reader: a terminal's account, or somebody at the command line."""

    @property
    def currency(self) -> str:
        """Of what is owed."""
        ...

    def shows_pin(self, barcode: str, pin: str, *, by: str) -> Pin | None:
        """What comes of a reader's PIN, and nothing else of them; None where there is no such reader."""
        ...

    def patron(self, barcode: str, pin: str | None, *, by: str) -> Patron | None:
        """A reader; None where there is none. Reading a record is noted; with a wrong PIN none is read."""
        ...

    def item(self, copy: str) -> Item | None:
        """A copy; None where there is none."""
        ...

    def check_out(
        self, barcode: str, copy: str, *, by: str, place: str, done: bool = False, renew: bool = False
    ) -> Outcome:
        """Lend a copy; what is `done` is not refused. With `renew` what they have is lent on."""
        ...

    def check_in(self, copy: str, *, by: str, place: str, returned_at: datetime | None = None) -> Outcome:
        """Take a copy back."""
        ...

    def renew(self, barcode: str, copy: str, *, by: str) -> Outcome:
        """Lend a copy on."""
        ...

    def renew_all(self, barcode: str, *, by: str) -> Sequence[Outcome]:
        """Lend on whatever may be."""
        ...

    def reserve(self, barcode: str, wanted: str, *, by: str, place: str) -> Outcome:
        """Put a reader at the end of a title's queue, by the title's key or a copy's number."""
        ...

    def cancel(self, barcode: str, wanted: str, *, by: str) -> Outcome:
        """Take a reader out of a title's queue."""
        ...

    def pay(
        self, barcode: str, amount_minor: int, *, method: str, by: str, reference: str | None = None
    ) -> Outcome:
        """Note what was paid of what is owed, by means that are not the card's."""
        ...

    def bar(self, barcode: str, *, by: str, barred: bool) -> Outcome:
        """Keep a reader from borrowing, or let them again."""
        ...
