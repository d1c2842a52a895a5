"""What a service adds to let somebody find what was paid for something, such as a vehicle, without a card.

An answer says what holds and until when, and never for whom. Roles of terminal have this right by itself, and
each question is noted. A service without it stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from marshmallow import Schema

from cardservice.services.seam import Counter, Refusal


@dataclass(frozen=True, slots=True)
class Trace:
    """Counters of a rule whose period begins with this and a slash, and has a word in it, if one is said."""

    rule: str
    begins: str
    word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found; `about` stands for what was asked about, for the trail, and tells it to nobody."""

    found: bool
    message: str
    about: str
    until: datetime | None = None


@runtime_checkable
class Findable(Protocol):
    """A service in which a terminal can look something up. Pure, as its rules are."""

    @property
    def find_roles(self) -> frozenset[str]:
        """The roles of terminal that may."""
        ...

    @property
    def find_schema(self) -> type[Schema]:
        """What a question looks like."""
        ...

    def traces(self, question: Mapping[str, object], tariff: object) -> tuple[Trace, ...] | Refusal:
        """The counters that tell of it."""
        ...

    def find(
        self,
        question: Mapping[str, object],
        payers: Sequence[Sequence[Counter]],
        tariff: object,
        moment: datetime,
    ) -> Finding:
        """The answer, from those counters: each payer's by themselves."""
        ...
