"""An ask at a place, and what an action answers before the payer's state is looked at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cardservice.services.parking import reasons
from cardservice.services.parking.plates import Vehicles, spoken
from cardservice.services.parking.pricing import CLOSED, Charge, charge
from cardservice.services.parking.tariff import OFF_STREET, ON_STREET, Place, Tariff
from cardservice.services.seam import Ask, CounterUse, Hold, Holder, Line, Refusal, ResourceUse, View

_MINUTE = timedelta(minutes=1)


def _nothing(_: View) -> Refusal | None:
    return None


def approved(_: View) -> str:
    return "Approved."


def _no_more(_: View) -> tuple[CounterUse, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """What an action costs, and what becomes of it if the payer's state passes the test.

    `more` are counters that the payer's state tells. `vital` are the objections in spite of which not even an
    advice counts. With a `hold` the amount is set aside; the holds under `releases` go back.
    """

    amount_minor: int
    line: Line
    counters: tuple[CounterUse, ...] = ()
    resources: tuple[ResourceUse, ...] = ()
    if_taken: str = ""
    test: Callable[[View], Refusal | None] = _nothing
    tell: Callable[[View], str] = approved
    inputs: Mapping[str, Any] = field(default_factory=dict)
    more: Callable[[View], tuple[CounterUse, ...]] = _no_more
    vital: frozenset[str] = frozenset()
    hold: Hold | None = None
    releases: tuple[str, ...] = ()

    def is_kept_in_spite_of(self, flags: list[str]) -> bool:
        """Whether an advice with these flags counts all the same: not, where it would count below zero."""
        return not {reasons.NOT_CARRIED, *self.vital} & set(flags)


@dataclass(frozen=True, slots=True)
class Case:
    """An ask at a place by a person of a category."""

    ask: Ask
    tariff: Tariff
    place: Place
    holder: Holder | None
    vehicles: Vehicles

    @property
    def category(self) -> str | None:
        return None if self.holder is None else self.holder.category

    @property
    def plate(self) -> str:
        return str(self.ask.details["plate"])

    @property
    def vehicle(self) -> str:
        return self.vehicles.at(self.place.key, self.plate)

    @property
    def has_badge(self) -> bool:
        """Whether a Blue Badge is good here and this person has one: theirs, in any vehicle."""
        return self.place.badge_free and self.category in self.tariff.badge_categories

    @property
    def permit(self) -> str | None:
        permit = self.ask.details.get("permit")
        return None if permit is None else str(permit)

    def number(self, name: str) -> int:
        number = self.ask.details[name]
        assert isinstance(number, int)  # noqa: S101 - its schema has loaded it
        return number

    def moment(self, name: str) -> datetime:
        moment = self.ask.details[name]
        assert isinstance(moment, datetime)  # noqa: S101 - its schema has loaded it
        return moment

    def charge(self, begins: datetime, minutes: int) -> Charge | Refusal:
        """What a stay costs this person, its length and place allowed or not; nothing with a permit.

        A Blue Badge is free of the longest stay, too, and of nothing but that: what is closed is closed.
        """
        ends = begins + minutes * _MINUTE
        found = charge(self.tariff, self.place, begins, ends, self.category)
        if self.has_badge:
            return found if isinstance(found, Refusal) and found.reason == CLOSED else Charge(0, 0)
        if self.permit is None or not isinstance(found, Charge):
            return found
        return Charge(0, found.within_s)


def asked(
    case: Case, test: Callable[[View], Refusal | None], tell: Callable[[View], str]
) -> Priced | Refusal:
    line = line_of(case, f"{case.place.label}, {spoken(case.plate)}", 0)
    return Priced(amount_minor=0, line=line, test=test, tell=tell)


def line_of(case: Case, label: str, amount_minor: int) -> Line:
    # Money of the street is kept apart from that of car parks.
    kind = ON_STREET if case.place.on_street else OFF_STREET
    line = Line(label=label, amount_minor=amount_minor, product=f"{kind}/{case.place.key}")
    return case.tariff.taxes.put_on(line, kind, case.category)
