"""What a till can put on its keys: the menu day by day, for as long as the till may go on by itself."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import attrgetter

from cardservice.services.catalogued import Catalogue, CatalogueItem, CataloguePeriod, CatalogueSection
from cardservice.services.meals.menu import Item, Menu
from cardservice.services.meals.tray import out_of_force
from cardservice.services.seam import Refusal

_DAY = timedelta(days=1)


def catalogue(menu: Menu, action: str, moment: datetime) -> Catalogue | Refusal:
    """What is offered from `moment` on, by the school's days; days that offer the same are one period."""
    if (closed := out_of_force(menu, moment)) is not None:
        return closed
    until = min(moment + timedelta(hours=menu.offline_quote_hours), menu.valid_until)
    return Catalogue(
        action=action,
        currency=menu.currency,
        tariff_version=menu.version,
        valid_until=until,
        periods=_merged(_days(menu, moment, until)),
    )


def _days(menu: Menu, moment: datetime, until: datetime) -> Iterator[CataloguePeriod]:
    """Each of the school's days in turn, cut to what is asked about; some have 23 or 25 hours."""
    day = menu.day_of(moment)
    while menu.beginning(day) < until:
        begins, ends = max(moment, menu.beginning(day)), min(until, menu.beginning(day + _DAY))
        # A place can leave a day of the calendar out when it changes its time zone.
        if begins < ends:
            yield CataloguePeriod(begins=begins, ends=ends, sections=_sections(menu, day))
        day += _DAY


def _merged(days: Iterator[CataloguePeriod]) -> tuple[CataloguePeriod, ...]:
    periods = []
    for sections, group in groupby(days, attrgetter("sections")):
        alike = list(group)
        periods.append(CataloguePeriod(begins=alike[0].begins, ends=alike[-1].ends, sections=sections))
    return tuple(periods)


def _sections(menu: Menu, day: date) -> tuple[CatalogueSection, ...]:
    return tuple(
        CatalogueSection(key=key, label=label, items=tuple(_item(item) for item in menu.offered_at(key, day)))
        for key, label in sorted(menu.services.items())
    )


def _item(item: Item) -> CatalogueItem:
    return CatalogueItem(
        key=item.key,
        label=item.label,
        category=item.category,
        amount_minor=item.price_minor,
        contains=item.contains,
        may_contain=item.may_contain,
    )
