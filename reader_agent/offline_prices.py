"""What something costs while the service does not answer, by what it has said beforehand.

It says so in two ways: with a quote, for exactly what was asked; and by a catalogue, for every basket of it.
Pure functions over both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reader_agent.catalogues import Catalogue, Period, Section, StoredCatalogue
from reader_agent.service_client import Price
from reader_agent.wire import MAX_AMOUNT_MINOR

# As the services take them. Never more: an advice that the service then refuses would be given away.
MAX_LINES, MAX_QUANTITY = 50, 20


@dataclass(frozen=True, slots=True)
class Said:
    """What a quote has said about going offline with exactly this, and when; None: it may not be."""

    price: Price | None
    as_of: datetime


def offline_price(
    said: Said | None,
    stored: StoredCatalogue | None,
    action: str,
    details: Mapping[str, object],
    moment: datetime,
) -> Price | None:
    """What may be charged offline at `moment`; None where nothing may be.

    Where both speak, the fresher word counts, whichever tariff it is of: the other was true once. So a price
    that was quoted after a change of tariff is charged until the new catalogue is here, and a new catalogue
    puts an end to prices, and to refusals, that were quoted before it. What no longer holds says nothing.
    """
    if said is not None and said.price is not None and said.price.valid_until <= moment:
        said = None
    if stored is None or not _speaks(stored.catalogue, action, moment):
        return None if said is None else said.price
    if said is not None and said.as_of >= stored.as_of:
        return said.price
    return price_by(stored.catalogue, action, details, moment)


def price_by(
    catalogue: Catalogue, action: str, details: Mapping[str, object], moment: datetime
) -> Price | None:
    """The price of a basket by a catalogue, within its limit for offline sales; None where it has none."""
    period = catalogue.period_at(moment)
    if period is None or action != catalogue.action or catalogue.offline_limit_minor is None:
        return None
    amount_minor = _total_minor(period, details)
    if amount_minor is None or amount_minor > catalogue.offline_limit_minor:
        return None
    return Price(amount_minor, catalogue.currency, catalogue.tariff_version, period.end)


def _speaks(catalogue: Catalogue, action: str, moment: datetime) -> bool:
    return action == catalogue.action and catalogue.period_at(moment) is not None


def _total_minor(period: Period, details: Mapping[str, object]) -> int | None:
    """The sum of the basket's lines; None for anything but a basket of what is offered."""
    # What somebody has confirmed of a basket changes nothing of its price.
    if details.keys() - {"confirmed"} != {"service", "items"}:
        return None
    key, lines = details["service"], details["items"]
    section = period.section(key) if isinstance(key, str) else None
    if section is None or not isinstance(lines, list) or not 1 <= len(lines) <= MAX_LINES:
        return None
    amounts = [_line_minor(section, line) for line in lines]
    known = [amount for amount in amounts if amount is not None]
    total = sum(known)
    return total if len(known) == len(amounts) and total <= MAX_AMOUNT_MINOR else None


def _line_minor(section: Section, line: object) -> int | None:
    if not isinstance(line, Mapping) or line.keys() != {"item", "quantity"}:
        return None
    key, quantity = line["item"], line["quantity"]
    item = section.item(key) if isinstance(key, str) else None
    # `true` is an int in Python, and no quantity.
    if item is None or not isinstance(quantity, int) or isinstance(quantity, bool):
        return None
    return quantity * item.amount_minor if 1 <= quantity <= MAX_QUANTITY else None
