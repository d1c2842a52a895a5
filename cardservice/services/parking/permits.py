"""Permits and visitors' sessions: bought for vehicles, counted under the payer, and asked about."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from cardservice.money import format_minor
from cardservice.services.parking import reasons
from cardservice.services.parking.case import Case, Priced, approved, asked
from cardservice.services.parking.plates import Vehicles, spoken
from cardservice.services.parking.stays import (
    ENDED,
    PAID,
    PERMIT,
    VISITS,
    HeldPermit,
    counted,
    permit_from,
    permits_of,
    whole_months_left,
)
from cardservice.services.parking.tariff import PERMITS, Permit, Tariff, Visit
from cardservice.services.seam import Ask, CounterUse, Line, Refusal, View


def buy_permit(ask: Ask, category: str | None, tariff: Tariff, vehicles: Vehicles) -> Priced | Refusal:
    key, number = str(ask.details["permit"]), ask.details["number"]
    assert isinstance(number, int)  # noqa: S101 - its schema has loaded it
    permit = tariff.permits.get(key)
    if permit is None:
        return Refusal(reason=reasons.PERMIT_UNKNOWN, message=f"The tariff has no permit {key[:60]!r}.")
    if permit.categories and category is not None and category not in permit.categories:
        message = f"{permit.label} is not for the holder of this card."
        return Refusal(reason=reasons.PERMIT_NOT_FOR_HOLDER, message=message)
    if number > len(permit.prices_minor):
        message = f"Nobody can have more than {len(permit.prices_minor)} of {permit.label}."
        return Refusal(reason=reasons.PERMIT_LIMIT, message=message)
    day = tariff.day_of(ask.occurred_at)
    plates = _plates(ask)
    if len(plates) > permit.vehicles:
        message = f"{permit.label} is for no more than {permit.vehicles} vehicles."
        return Refusal(reason=reasons.PERMIT_VEHICLES, message=message)
    wanted = permit_from(key, tuple(vehicles.at(key, each) for each in plates), day, permit.months)

    def test(view: View) -> Refusal | None:
        held = [each for each in permits_of(view, day) if each.permit == key]
        for each, vehicle in zip(plates, wanted.vehicles, strict=True):
            if any(vehicle in one.vehicles for one in held):
                message = f"{spoken(each)} has {permit.label} already."
                return Refusal(reason=reasons.PERMIT_HELD, message=message)
        return _is_number(permit, number, len(held))

    price_minor = permit.prices_minor[number - 1]
    label = f"{permit.label}, {', '.join(map(spoken, plates))}, to {wanted.last_day}"
    return Priced(
        amount_minor=price_minor,
        line=_line(label, price_minor, key, tariff, category),
        counters=(*counted(PERMIT, wanted.period, 1), *counted(PAID, wanted.period, price_minor)),
        test=test,
        inputs={"first_day": wanted.first_day.isoformat(), "last_day": wanted.last_day.isoformat()},
    )


def _line(label: str, amount_minor: int, key: str, tariff: Tariff, category: str | None) -> Line:
    line = Line(label=label, amount_minor=amount_minor, product=f"{PERMITS}/{key}")
    return tariff.taxes.put_on(line, PERMITS, category)


def _plates(ask: Ask) -> tuple[str, ...]:
    """The vehicles that are named, each once."""
    more = ask.details["more_plates"]
    assert isinstance(more, list)  # noqa: S101 - its schema has loaded it
    return tuple(sorted({str(ask.details["plate"]), *map(str, more)}))


def end_permit(ask: Ask, category: str | None, tariff: Tariff, vehicles: Vehicles) -> Priced | Refusal:
    """Ends a permit of the payer's for good; says what of its price is to be given back, which staff do."""
    key, plates, day = str(ask.details["permit"]), _plates(ask), tariff.day_of(ask.occurred_at)
    ended = _named(ask, key, plates, vehicles)
    if not ended.first_day <= day <= ended.last_day:
        return Refusal(reason=reasons.NO_PERMIT, message="That permit does not hold today.")
    left, months = whole_months_left(ended, day)

    def test(view: View) -> Refusal | None:
        if ended in permits_of(view, day):
            return None
        message = f"With this card {', '.join(map(spoken, plates))} has no such permit."
        return Refusal(reason=reasons.NO_PERMIT, message=message)

    def tell(view: View) -> str:
        refund = format_minor(refund_minor(_paid(view, ended), left, months), tariff.currency)
        return (
            f"The permit has ended. For {left} whole months of {months}, {refund} {tariff.currency} go back."
        )

    label = f"{', '.join(map(spoken, plates))}, permit ended"
    return Priced(
        amount_minor=0,
        line=_line(label, 0, key, tariff, category),
        counters=counted(ENDED, ended.period, 1),
        test=test,
        tell=tell,
        inputs={"whole_months_left": left, "months": months},
    )


def change_permit(ask: Ask, category: str | None, tariff: Tariff, vehicles: Vehicles) -> Priced | Refusal:
    """Names other vehicles in a permit of the payer's, for the days that are left of it."""
    key, plates, day = str(ask.details["permit"]), _plates(ask), tariff.day_of(ask.occurred_at)
    permit, named = tariff.permits.get(key), ask.details["new_plates"]
    assert isinstance(named, list)  # noqa: S101 - its schema has loaded it
    wanted = tuple(sorted(set(map(str, named))))
    if permit is None:
        return Refusal(reason=reasons.PERMIT_UNKNOWN, message=f"The tariff has no permit {key[:60]!r}.")
    if len(wanted) > permit.vehicles:
        message = f"{permit.label} is for no more than {permit.vehicles} vehicles."
        return Refusal(reason=reasons.PERMIT_VEHICLES, message=message)
    before = _named(ask, key, plates, vehicles)
    if not before.first_day <= day <= before.last_day:
        return Refusal(reason=reasons.NO_PERMIT, message="That permit does not hold today.")
    after = replace(before, vehicles=tuple(vehicles.at(key, each) for each in wanted))

    def test(view: View) -> Refusal | None:
        held = [each for each in permits_of(view, day) if each.permit == key]
        if before not in held:
            message = f"With this card {', '.join(map(spoken, plates))} has no such permit."
            return Refusal(reason=reasons.NO_PERMIT, message=message)
        others = [each for each in held if each != before or after == before]
        for each, vehicle in zip(wanted, after.vehicles, strict=True):
            if any(vehicle in other.vehicles for other in others):
                message = f"{spoken(each)} has {permit.label} already."
                return Refusal(reason=reasons.PERMIT_HELD, message=message)
        return None

    def moved(view: View) -> tuple[CounterUse, ...]:
        # What was paid goes with it, so that its months can be given back.
        paid_minor = _paid(view, before)
        return (*counted(PAID, before.period, -paid_minor), *counted(PAID, after.period, paid_minor))

    label = f"{permit.label}, now {', '.join(map(spoken, wanted))}, to {after.last_day}"
    price_minor = permit.change_minor
    return Priced(
        amount_minor=price_minor,
        line=_line(label, price_minor, key, tariff, category),
        counters=(*counted(ENDED, before.period, 1), *counted(PERMIT, after.period, 1)),
        more=moved,
        test=test,
        vital=frozenset({reasons.NO_PERMIT, reasons.PERMIT_HELD}),
        inputs={"first_day": after.first_day.isoformat(), "last_day": after.last_day.isoformat()},
    )


def _named(ask: Ask, key: str, plates: tuple[str, ...], vehicles: Vehicles) -> HeldPermit:
    """The permit that the details name: by its vehicles and days."""
    first, last = ask.details["first_day"], ask.details["last_day"]
    assert isinstance(first, date)  # noqa: S101 - its schema has loaded it
    assert isinstance(last, date)  # noqa: S101 - its schema has loaded it
    return HeldPermit(key, tuple(vehicles.at(key, each) for each in plates), first, last)


def _paid(view: View, held: HeldPermit) -> int:
    """What was paid for a permit."""
    return sum(each.used for each in view.counters if (each.rule, each.period) == (PAID, held.period))


def refund_minor(paid_minor: int, left: int, months: int) -> int:
    """What of a permit's price goes back for so many whole months of its; rounded to the holder's good."""
    return -(-paid_minor * left // months)


def visit(case: Case) -> tuple[Visit, Callable[[View], Refusal | None]] | Refusal:
    """The session by which a vehicle visits, and whether the payer has one left in this year."""
    key = str(case.ask.details["visit"])
    found = case.tariff.visits.get(key)
    if found is None or key not in case.place.visits:
        message = f"No visitor's session {key[:60]!r} is good for {case.place.label}."
        return Refusal(reason=reasons.VISIT_NOT_HERE, message=message)
    if found.categories and case.category is not None and case.category not in found.categories:
        message = f"{found.label} is not for the holder of this card."
        return Refusal(reason=reasons.PERMIT_NOT_FOR_HOLDER, message=message)
    period = year_of(case, key)

    def test(view: View) -> Refusal | None:
        used = sum(each.used for each in view.counters if (each.rule, each.period) == (VISITS, period))
        if used < found.sessions_a_year:
            return None
        message = f"All {found.sessions_a_year} sessions of {found.label} in this year have been used."
        return Refusal(reason=reasons.VISITS_USED, message=message, data={"used": used})

    return found, test


def year_of(case: Case, key: str) -> str:
    """Under which a payer's sessions of a calendar year are counted."""
    return f"{key}/{case.tariff.day_of(case.ask.occurred_at).year}"


def _is_number(permit: Permit, number: int, held: int) -> Refusal | None:
    if number == held + 1:
        return None
    message = f"This would be number {held + 1} of {permit.label}, not {number}. Ask for its price."
    return Refusal(reason=reasons.PERMIT_NUMBER, message=message, data={"held": held})


def check_permit(case: Case) -> Priced | Refusal:
    place, day = case.place, case.tariff.day_of(case.ask.occurred_at)

    def test(view: View) -> Refusal | None:
        for held in permits_of(view, day):
            if held.permit in place.permits and case.vehicles.at(held.permit, case.plate) in held.vehicles:
                return None
        message = f"With this card {spoken(case.plate)} has no permit for {place.label}."
        return Refusal(reason=reasons.NO_PERMIT, message=message)

    return asked(case, test, approved)


def permit_is_held(case: Case, view: View) -> Refusal | None:
    if case.permit is None:
        return None
    day, vehicle = case.tariff.day_of(case.ask.occurred_at), case.vehicles.at(case.permit, case.plate)
    if any(held.permit == case.permit and vehicle in held.vehicles for held in permits_of(view, day)):
        return None
    message = f"With this card {spoken(case.plate)} has no permit {case.permit!r} today."
    return Refusal(reason=reasons.NO_PERMIT, message=message)
