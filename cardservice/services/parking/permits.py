"""Permits: bought for a vehicle, counted under the payer, and asked about by whoever checks."""

from cardservice.services.parking import reasons
from cardservice.services.parking.case import Case, Priced, approved, asked
from cardservice.services.parking.plates import Vehicles, spoken
from cardservice.services.parking.stays import PERMIT, counted, permit_from, permits_of
from cardservice.services.parking.tariff import Permit, Tariff
from cardservice.services.seam import Ask, Line, Refusal, View


def buy_permit(ask: Ask, category: str | None, tariff: Tariff, vehicles: Vehicles) -> Priced | Refusal:
    key, plate, number = str(ask.details["permit"]), str(ask.details["plate"]), ask.details["number"]
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
    wanted = permit_from(key, vehicles.at(key, plate), day, permit.months)

    def test(view: View) -> Refusal | None:
        held = [each for each in permits_of(view, day) if each.permit == key]
        if any(each.vehicle == wanted.vehicle for each in held):
            return Refusal(reason=reasons.PERMIT_HELD, message=f"{spoken(plate)} has {permit.label} already.")
        return _is_number(permit, number, len(held))

    price_minor = permit.prices_minor[number - 1]
    label = f"{permit.label}, {spoken(plate)}, to {wanted.last_day}"
    return Priced(
        amount_minor=price_minor,
        line=Line(label=label, amount_minor=price_minor, product=f"permit/{key}"),
        counters=counted(PERMIT, wanted.period, 1),
        test=test,
        inputs={"first_day": wanted.first_day.isoformat(), "last_day": wanted.last_day.isoformat()},
    )


def _is_number(permit: Permit, number: int, held: int) -> Refusal | None:
    if number == held + 1:
        return None
    message = f"This would be number {held + 1} of {permit.label}, not {number}. Ask for its price."
    return Refusal(reason=reasons.PERMIT_NUMBER, message=message, data={"held": held})


def check_permit(case: Case) -> Priced | Refusal:
    place, day = case.place, case.tariff.day_of(case.ask.occurred_at)

    def test(view: View) -> Refusal | None:
        for held in permits_of(view, day):
            if held.permit in place.permits and held.vehicle == case.vehicles.at(held.permit, case.plate):
                return None
        message = f"With this card {spoken(case.plate)} has no permit for {place.label}."
        return Refusal(reason=reasons.NO_PERMIT, message=message)

    return asked(case, test, approved)


def permit_is_held(case: Case, view: View) -> Refusal | None:
    if case.permit is None:
        return None
    day, vehicle = case.tariff.day_of(case.ask.occurred_at), case.vehicles.at(case.permit, case.plate)
    if any((held.permit, held.vehicle) == (case.permit, vehicle) for held in permits_of(view, day)):
        return None
    message = f"With this card {spoken(case.plate)} has no permit {case.permit!r} today."
    return Refusal(reason=reasons.NO_PERMIT, message=message)
