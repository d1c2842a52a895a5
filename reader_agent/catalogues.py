"""A catalogue: what a terminal can put on its keys for a service, in periods that follow each other.

A value, read strictly from the service's answer, and from what was stored of it. It holds no more than
prices and words of the menu, and nothing about a person.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from reader_agent.errors import ServiceAnswerInvalid
from reader_agent.wire import Document, to_rfc3339

# Ours, well above what the services of this project offer.
MAX_PERIODS, MAX_SECTIONS, MAX_ITEMS, MAX_ALLERGENS = 400, 40, 1_000, 32
MAX_LABEL, MAX_TARIFF_VERSION = 200, 128
# The service's clock may be ahead of the terminal's by as much (see `agent.CLOCK_TOLERANCE`).
MAX_CLOCK_DIFFERENCE = timedelta(seconds=30)
# What somebody has changed at the service, such as a price, stands on the keys this much later at the latest.
MAX_AGE = timedelta(minutes=4)


@dataclass(frozen=True, slots=True)
class Item:
    """One key of a till."""

    key: str
    label: str
    category: str
    amount_minor: int
    # Keys of allergens
    contains: tuple[str, ...]
    may_contain: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """What is sold together, such as lunch."""

    key: str
    label: str
    items: tuple[Item, ...]

    def item(self, key: str) -> Item | None:
        """The item of this key."""
        return next((item for item in self.items if item.key == key), None)


@dataclass(frozen=True, slots=True)
class Period:
    """While the same is offered for the same prices: from `start`, before `end`."""

    start: datetime
    end: datetime
    sections: tuple[Section, ...]

    def section(self, key: str) -> Section | None:
        """The section of this key."""
        return next((section for section in self.sections if section.key == key), None)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a service lets a terminal sell."""

    service: str
    # What a sale of it is called
    action: str
    tariff_version: str
    currency: str
    valid_until: datetime
    # The most that one sale may come to while the service does not answer; None: none may
    offline_limit_minor: int | None
    # At least one, without a gap
    periods: tuple[Period, ...]

    def period_at(self, moment: datetime) -> Period | None:
        """The period that contains the moment; None where this catalogue says nothing about it."""
        first = self.periods[0]
        # A difference, for a subtraction from the first of all days would overflow.
        if moment < first.start and first.start - moment <= MAX_CLOCK_DIFFERENCE:
            return first
        return next((period for period in self.periods if period.start <= moment < period.end), None)

    def to_json(self) -> dict[str, object]:
        """As the service writes it."""
        return {
            "service": self.service,
            "tariff_version": self.tariff_version,
            "currency": self.currency,
            "action": self.action,
            "valid_until": to_rfc3339(self.valid_until),
            "offline_limit_minor": self.offline_limit_minor,
            "periods": [
                {
                    "from": to_rfc3339(period.start),
                    "until": to_rfc3339(period.end),
                    "sections": sections_json(period.sections),
                }
                for period in self.periods
            ],
        }


@dataclass(frozen=True, slots=True)
class StoredCatalogue:
    """A catalogue, and when the service said it."""

    catalogue: Catalogue
    as_of: datetime

    def is_worn(self, moment: datetime) -> bool:
        """Whether it is time to ask again: it is old, half used up, or another period has begun."""
        catalogue, age = self.catalogue, moment - self.as_of
        has_other_period = catalogue.period_at(self.as_of) != catalogue.period_at(moment)
        is_half_gone = 2 * age >= catalogue.valid_until - self.as_of
        return not timedelta(0) <= age < MAX_AGE or is_half_gone or has_other_period


def sections_json(sections: Sequence[Section]) -> list[dict[str, object]]:
    """Sections as the service writes them."""
    return [
        {"key": section.key, "label": section.label, "items": [_item_json(item) for item in section.items]}
        for section in sections
    ]


def read_catalogue(document: Document, service: str) -> Catalogue:
    """The catalogue of this service. Raises ServiceAnswerInvalid."""
    if document.text("service") != service:
        raise ServiceAnswerInvalid("it is the catalogue of another service")
    catalogue = Catalogue(
        service=service,
        action=document.key("action"),
        tariff_version=document.label("tariff_version", MAX_TARIFF_VERSION),
        currency=document.currency("currency"),
        valid_until=document.moment("valid_until"),
        offline_limit_minor=(
            None if document.is_null("offline_limit_minor") else document.amount("offline_limit_minor")
        ),
        periods=tuple(_period(period) for period in document.documents("periods", MAX_PERIODS)),
    )
    _check_periods(catalogue)
    return catalogue


def _check_periods(catalogue: Catalogue) -> None:
    """Which prices hold when must have one answer."""
    periods = catalogue.periods
    if not periods or any(period.start >= period.end for period in periods):
        raise ServiceAnswerInvalid("catalogue.periods has none, or an empty one")
    if any(one.end != other.start for one, other in pairwise(periods)):
        raise ServiceAnswerInvalid("catalogue.periods do not follow each other")
    if periods[-1].end != catalogue.valid_until:
        raise ServiceAnswerInvalid("catalogue.valid_until is not the end of its last period")


def _period(document: Document) -> Period:
    sections = tuple(_section(section) for section in document.documents("sections", MAX_SECTIONS))
    _check_keys("sections", (section.key for section in sections))
    return Period(document.moment("from"), document.moment("until"), sections)


def _section(document: Document) -> Section:
    items = tuple(_item(item) for item in document.documents("items", MAX_ITEMS))
    _check_keys("items", (item.key for item in items))
    return Section(document.key("key"), document.label("label", MAX_LABEL), items)


def _item(document: Document) -> Item:
    return Item(
        key=document.key("key"),
        label=document.label("label", MAX_LABEL),
        category=document.key("category"),
        amount_minor=document.amount("amount_minor"),
        contains=document.keys("contains", MAX_ALLERGENS),
        may_contain=document.keys("may_contain", MAX_ALLERGENS),
    )


def _check_keys(what: str, keys: Iterable[str]) -> None:
    found = list(keys)
    if len(set(found)) != len(found):
        raise ServiceAnswerInvalid(f"catalogue.{what} has one key twice")


def _item_json(item: Item) -> Mapping[str, object]:
    return {
        "key": item.key,
        "label": item.label,
        "category": item.category,
        "amount_minor": item.amount_minor,
        "contains": list(item.contains),
        "may_contain": list(item.may_contain),
    }
