"""A parking tariff as people compare it: each place's hours, charges and terms, permits, bank holidays."""

from collections.abc import Iterator

from cardservice.money import format_minor
from cardservice.services.parking.tariff import Band, Permit, Place, Tariff, Visit
from cardservice.services.price_lists import Listed
from cardservice.services.taxes import listed_taxes


def price_list(tariff: Tariff) -> tuple[Listed, ...]:
    """Everything that the tariff says, a line each."""
    return tuple(_lines(tariff))


def _lines(tariff: Tariff) -> Iterator[Listed]:
    yield Listed("the tariff's days", f"{tariff.first_day} to {tariff.last_day} ({tariff.zone.key})")
    yield Listed("bank holidays are known until", f"{tariff.calendar_until}")
    for day in sorted(tariff.holidays):
        yield Listed(f"bank holiday {day}", "kept")
    for permit in tariff.permits.values():
        yield from _permit(tariff, permit)
    for visit in tariff.visits.values():
        yield from _visit(tariff, visit)
    if tariff.badge_categories:
        yield Listed("who has a Blue Badge", ", ".join(sorted(tariff.badge_categories)))
    yield from listed_taxes(tariff.taxes)
    for place in tariff.places.values():
        yield from _place(tariff, place)


def _permit(tariff: Tariff, permit: Permit) -> Iterator[Listed]:
    name = f"permit {permit.label} ({permit.key})"
    who = ", ".join(sorted(permit.categories)) or "everybody"
    yield Listed(name, f"{permit.months} months, for {who}")
    if permit.vehicles > 1:
        yield Listed(f"{name}, vehicles", f"{permit.vehicles}")
    if permit.change_minor:
        yield Listed(f"{name}, other vehicles", _money(tariff, permit.change_minor))
    for number, price_minor in enumerate(permit.prices_minor, 1):
        yield Listed(f"{name}, number {number}", _money(tariff, price_minor))


def _visit(tariff: Tariff, visit: Visit) -> Iterator[Listed]:
    name = f"visitor's session {visit.label} ({visit.key})"
    who = ", ".join(sorted(visit.categories)) or "everybody"
    yield Listed(name, f"{visit.minutes} minutes, {visit.sessions_a_year} a year, for {who}")
    yield Listed(f"{name}, price", _money(tariff, visit.price_minor))


def _place(tariff: Tariff, place: Place) -> Iterator[Listed]:
    name = f"{place.label} ({place.key})"
    yield Listed(name, _kind(place))
    for term, says in _terms(tariff, place):
        yield Listed(f"{name}, {term}", says)
    for band in place.bands:
        # By each of its days, so that one day more or less is one line.
        for day in sorted(band.days):
            hours = f"{name}, {day} {_clock(band.from_minute)} to {_clock(band.to_minute)}"
            yield from _charges(tariff, hours, band)


def _kind(place: Place) -> str:
    return ", ".join(
        (
            "on street" if place.on_street else "off street",
            "paid on exit" if place.pay_on_exit else "paid on arrival",
            f"{'closed' if place.closed_outside else 'free'} outside its hours",
            f"holidays {'as weekdays' if place.holidays_as_weekdays else 'by themselves'}",
        )
    )


def _terms(tariff: Tariff, place: Place) -> Iterator[tuple[str, str]]:
    yield from _amounts(tariff, place)
    yield "shortest and longest sold", f"{place.min_minutes} and {place.max_minutes} minutes"
    if place.free_minutes:
        yield "free", f"{place.free_minutes} minutes"
    if place.max_stay_minutes is not None:
        yield "longest stay", f"{place.max_stay_minutes} minutes"
    if place.no_return_minutes is not None:
        yield "no return for", f"{place.no_return_minutes} minutes"
    for category, per_cent in sorted(place.discounts.items()):
        yield f"discount of {category}", f"{per_cent} %"
    permits = (f"permit {key}" for key in sorted(place.permits))
    for good in (*permits, *(f"visitor's session {key}" for key in sorted(place.visits))):
        yield good, "good here"
    if place.badge_free:
        yield "Blue Badge", "free, for as long as one likes"
    yield "unused minutes", "are carried" if place.carries_unused else "are lost"
    if place.condition is not None:
        yield "vehicles", str(place.condition)
    if place.valid_from is not None or place.valid_until is not None:
        yield "order in force", f"{place.valid_from or '…'} to {place.valid_until or '…'}"


def _amounts(tariff: Tariff, place: Place) -> Iterator[tuple[str, str]]:
    for term, amount_minor in (
        ("most for a day", place.daily_maximum_minor),
        ("reserved on entry", place.reserve_minor),
    ):
        if amount_minor is not None:
            yield term, _money(tariff, amount_minor)


def _charges(tariff: Tariff, hours: str, band: Band) -> Iterator[Listed]:
    if band.step is not None:
        price = _money(tariff, band.step.price_minor)
        yield Listed(hours, f"{price} for each {_long(band.step.every_s)} begun")
    for tier in band.tiers:
        yield Listed(f"{hours}, up to {_long(tier.up_to_s)}", _money(tariff, tier.price_minor))


def _long(duration_s: int) -> str:
    minutes, seconds = divmod(duration_s, 60)
    return f"{minutes} minutes {seconds} seconds" if seconds else f"{minutes} minutes"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _money(tariff: Tariff, amount_minor: int) -> str:
    return f"{format_minor(amount_minor, tariff.currency)} {tariff.currency}"
