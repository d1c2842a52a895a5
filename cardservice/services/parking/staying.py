"""What every way of paying for a stay shares: what speaks against it, and what it counts and holds."""

from collections.abc import Callable
from datetime import datetime, timedelta

from cardservice.services.parking import reasons
from cardservice.services.parking.case import Case, Priced, line_of
from cardservice.services.parking.holding import held_quota, held_time
from cardservice.services.parking.plates import spoken
from cardservice.services.parking.pricing import Charge
from cardservice.services.parking.stays import CARRIED, SESSION, VISIT, Stay, counted, period_of
from cardservice.services.seam import Refusal, View

_MINUTE = timedelta(minutes=1)


def objection_to(case: Case, *, on_exit: bool) -> Refusal | None:
    """Why this vehicle cannot pay here now, or not in this way."""
    place, vehicle = case.place, str(case.ask.details["vehicle"])
    if place.pay_on_exit is not on_exit:
        if on_exit:
            message = f"At {place.label} a stay is paid when it begins."
            return Refusal(reason=reasons.NOT_PAID_ON_EXIT, message=message)
        return Refusal(reason=reasons.PAID_ON_EXIT, message=f"At {place.label} a stay is paid on leaving.")
    begins, ends, moment = place.valid_from, place.valid_until, case.ask.occurred_at
    if (begins is not None and moment < begins) or (ends is not None and moment >= ends):
        message = f"The order for {place.label} is not in force at this time."
        return Refusal(reason=reasons.ORDER_NOT_IN_FORCE, message=message)
    if place.condition is not None and not place.condition.holds(vehicle):
        message = f"{place.label} is not for a vehicle of the type {vehicle}."
        return Refusal(reason=reasons.VEHICLE_NOT_ALLOWED, message=message, data={"vehicle": vehicle})
    if case.permit is not None and case.permit not in place.permits:
        message = f"No permit {case.permit!r} is good for {place.label}."
        return Refusal(reason=reasons.PERMIT_NOT_HERE, message=message, data={"permit": case.permit})
    return None


def stay_of(
    case: Case,
    stay: Stay,
    held_from: datetime,
    minutes: int,
    paid: Charge,
    whole: Charge,
    *,
    carried: int,
    test: Callable[[View], Refusal | None],
) -> Priced:
    """A stay that is paid for, with the minutes that it is, the time that it holds, and what is carried."""
    place, away = case.place, case.place.no_return_minutes or 0
    # What is added to a stay begins where the time ends that is held for it: with its time of no return.
    begun = held_from if held_from == stay.begins else held_from + away * _MINUTE
    resources = held_time(stay.vehicle, begun, stay.ends + away * _MINUTE)
    if place.max_stay_minutes is not None and place.no_return_minutes is None and whole.within_s:
        day = case.tariff.day_of(stay.begins).isoformat()
        resources += (held_quota(stay.vehicle, day, -(-whole.within_s // 60), place.max_stay_minutes),)
    ends = stay.ends.astimezone(case.tariff.zone)
    return Priced(
        amount_minor=paid.amount_minor,
        line=line_of(case, f"{place.label}, {spoken(case.plate)}, until {ends:%H:%M}", paid.amount_minor),
        counters=(
            *counted(VISIT if stay.is_visit else SESSION, period_of(stay.vehicle, stay.begins), minutes),
            *counted(CARRIED, place.key, -carried),
        ),
        # Whoever has a badge may stay and return as they like.
        resources=() if case.has_badge else resources,
        if_taken=_taken(case),
        test=test,
        inputs={
            "begins": stay.begins.isoformat(),
            "ends": stay.ends.isoformat(),
            "within_s": whole.within_s,
            "on_street": place.on_street,
        },
    )


def _taken(case: Case) -> str:
    place, vehicle = case.place, spoken(case.plate)
    if place.no_return_minutes is not None:
        hours = f"{place.no_return_minutes} minutes"
        return f"{vehicle} has been at {place.label}, and may not return within {hours} of its paid time."
    if place.max_stay_minutes is not None:
        return f"{vehicle} may not stay longer than {place.max_stay_minutes} minutes at {place.label} today."
    return f"{vehicle} is paid for at {place.label} at this time already."
