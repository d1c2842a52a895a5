"""Places that are left by a barrier: an amount is reserved on entry, and the stay is paid for on exit."""

from dataclasses import replace
from datetime import timedelta

from cardservice.money import format_minor
from cardservice.services.holds import holds_of
from cardservice.services.parking import reasons
from cardservice.services.parking.case import Case, Priced, approved, line_of
from cardservice.services.parking.permits import permit_is_held
from cardservice.services.parking.plates import spoken
from cardservice.services.parking.schemas import LONGEST
from cardservice.services.parking.staying import objection_to, stay_of
from cardservice.services.parking.stays import SERVICE, Stay, whole_minute
from cardservice.services.seam import Hold, Refusal, View

_MINUTE = timedelta(minutes=1)


def enter(case: Case) -> Priced | Refusal:
    """What is set aside when a vehicle drives in: nothing for who will pay nothing."""
    place, begins = case.place, whole_minute(case.ask.occurred_at)
    if (objection := objection_to(case, on_exit=True)) is not None:
        return objection
    if place.reserve_minor is None:
        message = f"At {place.label} nothing is reserved on entry."
        return Refusal(reason=reasons.NOTHING_RESERVED, message=message)
    open_now = case.charge(begins, 1)
    if isinstance(open_now, Refusal):
        return open_now
    amount_minor = 0 if case.has_badge or case.permit is not None else place.reserve_minor

    def test(view: View) -> Refusal | None:
        if holds_of(view.counters, SERVICE, case.vehicle):
            message = f"With this card {spoken(case.plate)} is in {place.label} already."
            return Refusal(reason=reasons.ENTERED_ALREADY, message=message)
        return permit_is_held(case, view)

    line = line_of(case, f"{place.label}, {spoken(case.plate)}, reserved", amount_minor)
    if amount_minor:
        # It is still the payer's: nothing has been sold that could be taxed.
        line = replace(line, held=True, tax_code=None, tax_rate_bp=None)
    return Priced(
        amount_minor=amount_minor,
        line=line,
        hold=Hold(case.vehicle, begins + LONGEST),
        test=test,
        inputs={"begins": begins.isoformat()},
    )


def leave(case: Case) -> Priced | Refusal:
    """A stay that is paid for on leaving; what was reserved for the vehicle goes back first."""
    begins, moment = case.moment("entered_at"), case.ask.occurred_at
    if (objection := objection_to(case, on_exit=True)) is not None:
        return objection
    minutes = -((begins - moment) // _MINUTE)
    if not timedelta(0) < minutes * _MINUTE <= LONGEST:
        message = "The vehicle did not enter within the last seven days. Ask for help."
        return Refusal(reason=reasons.TIMES_WRONG, message=message)
    paid = case.charge(begins, minutes)
    if isinstance(paid, Refusal):
        return paid

    def test(view: View) -> Refusal | None:
        return permit_is_held(case, view)

    def tell(view: View) -> str:
        reserved_minor = sum(held.amount_minor for held in holds_of(view.counters, SERVICE, case.vehicle))
        if not reserved_minor:
            return approved(view)
        reserved = f"{format_minor(reserved_minor, case.tariff.currency)} {case.tariff.currency}"
        return f"Approved. The {reserved} that were reserved are free again."

    stay = Stay(case.vehicle, begins, minutes)
    made = stay_of(case, stay, begins, minutes, paid, paid, carried=0, test=test)
    return replace(made, tell=tell, releases=(case.vehicle,))
