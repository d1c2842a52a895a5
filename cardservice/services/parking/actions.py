"""What each action costs, what it counts and holds, and what must be so of the payer for it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from cardservice.services.parking import reasons
from cardservice.services.parking.case import Case, Priced, asked, line_of
from cardservice.services.parking.leaving import enter, leave
from cardservice.services.parking.permits import (
    buy_permit,
    change_permit,
    check_permit,
    end_permit,
    permit_is_held,
    visit,
    year_of,
)
from cardservice.services.parking.plates import Vehicles, spoken
from cardservice.services.parking.pricing import CLOSED, TOO_LONG, Charge
from cardservice.services.parking.staying import objection_to, stay_of
from cardservice.services.parking.stays import (
    CARRIED,
    STOPPED,
    VISITS,
    Stay,
    carried_at,
    counted,
    period_of,
    stays_of,
    whole_minute,
)
from cardservice.services.parking.tariff import Place, Tariff
from cardservice.services.seam import Ask, Holder, Refusal, View

_FREE = Charge(0, 0)
_MINUTE = timedelta(minutes=1)


def priced(ask: Ask, holder: Holder | None, tariff: Tariff, vehicles: Vehicles) -> Priced | Refusal:
    """What is asked for, priced for a person of the holder's category; or why it has no price."""
    if ask.currency != tariff.currency:
        message = f"The amount is in {ask.currency[:10]}, the tariff is in {tariff.currency}."
        return Refusal(reason=reasons.CURRENCY_MISMATCH, message=message)
    if ask.occurred_at >= tariff.valid_until:
        return Refusal(reason=reasons.TARIFF_EXPIRED, message="The tariff is over. Load a newer one.")
    if ask.occurred_at < tariff.valid_from:
        return Refusal(reason=reasons.TARIFF_NOT_YET_VALID, message="The tariff is not in force yet.")
    category = None if holder is None else holder.category
    if ask.action == "permit":
        return buy_permit(ask, category, tariff, vehicles)
    if ask.action == "permit-end":
        return end_permit(ask, category, tariff, vehicles)
    if ask.action == "permit-change":
        return change_permit(ask, category, tariff, vehicles)
    key = str(ask.details["place"])
    place = tariff.places.get(key)
    if place is None:
        message = f"The tariff has no place {key[:60]!r}."
        return Refusal(reason=reasons.PLACE_UNKNOWN, message=message, data={"place": key})
    case = Case(ask, tariff, place, holder, vehicles)
    return _PRICES[ask.action](case)


def _start(case: Case) -> Priced | Refusal:
    place, minutes, carried = case.place, case.number("minutes"), case.number("carried_minutes")
    begins = whole_minute(case.ask.occurred_at)
    if (objection := objection_to(case, on_exit=False) or _length(case, minutes)) is not None:
        return objection
    whole = case.charge(begins, minutes)
    if isinstance(whole, Refusal):
        return whole
    if carried and (carried > minutes or not place.carries_unused):
        return _not_carried(place)
    # What was left of an earlier stay is the first that is used; the rest is what costs.
    paid = case.charge(begins, minutes - carried) if minutes > carried else _FREE
    if isinstance(paid, Refusal):
        return paid
    stay = Stay(case.vehicle, begins, minutes)

    def test(view: View) -> Refusal | None:
        if carried > carried_at(view, place.key, case.holder):
            return _not_carried(place)
        return permit_is_held(case, view)

    return stay_of(case, stay, begins, minutes, paid, whole, carried=carried, test=test)


def _extend(case: Case) -> Priced | Refusal:
    paid_minutes, minutes = case.number("paid_minutes"), case.number("minutes")
    begins, moment = case.moment("started_at"), case.ask.occurred_at
    if (objection := objection_to(case, on_exit=False) or _length(case, paid_minutes + minutes)) is not None:
        return objection
    before, after = case.charge(begins, paid_minutes), case.charge(begins, paid_minutes + minutes)
    if isinstance(after, Refusal):
        return after
    if isinstance(before, Refusal):
        return before
    added = Charge(after.amount_minor - before.amount_minor, after.within_s - before.within_s)

    def test(view: View) -> Refusal | None:
        stay = _running(case, view, begins)
        if isinstance(stay, Refusal):
            return stay
        if stay.is_visit:
            return Refusal(reason=reasons.NO_SESSION, message="A visitor's session is not extended.")
        if stay.minutes != paid_minutes:
            message = (
                f"Of this stay {stay.minutes} minutes are paid, not {paid_minutes}. Ask for the price again."
            )
            return Refusal(reason=reasons.SESSION_CHANGED, message=message)
        if not stay.is_good_at(moment):
            return Refusal(reason=reasons.SESSION_OVER, message="That stay is over. Begin a new one.")
        return permit_is_held(case, view)

    stay = Stay(case.vehicle, begins, paid_minutes + minutes)
    return stay_of(case, stay, begins + paid_minutes * _MINUTE, minutes, added, added, carried=0, test=test)


def _visit(case: Case) -> Priced | Refusal:
    """A session at its own price, whatever the place costs and however long one may stay there."""
    if (objection := objection_to(case, on_exit=False)) is not None:
        return objection
    found = visit(case)
    if isinstance(found, Refusal):
        return found
    kind, test = found
    begins = whole_minute(case.ask.occurred_at)
    open_then = case.charge(begins, kind.minutes)
    if isinstance(open_then, Refusal) and open_then.reason == CLOSED:
        return open_then
    stay, price = Stay(case.vehicle, begins, kind.minutes, is_visit=True), Charge(kind.price_minor, 0)
    made = stay_of(case, stay, begins, kind.minutes, price, price, carried=0, test=test)
    return replace(made, counters=(*made.counters, *counted(VISITS, year_of(case, kind.key), 1)))


def _stop(case: Case) -> Priced | Refusal:
    place, begins, moment = case.place, case.moment("started_at"), case.ask.occurred_at
    period = period_of(case.vehicle, begins)

    def test(view: View) -> Refusal | None:
        stay = _running(case, view, begins)
        if isinstance(stay, Refusal):
            return stay
        if moment >= stay.ends:
            return Refusal(reason=reasons.SESSION_OVER, message="That stay has ended by itself.")
        # What is carried is told by the terminal, since a price and its counters are known beforehand.
        if unused and stay.is_visit:
            return _not_carried(place)
        if unused > int((stay.ends - moment).total_seconds()) // 60:
            return _not_carried(place)
        return None

    unused = case.number("unused_minutes")
    # What nothing was paid for is not carried.
    if unused and (case.has_badge or not place.carries_unused):
        return _not_carried(place)
    return Priced(
        amount_minor=0,
        line=line_of(case, f"{place.label}, {spoken(case.plate)}, stopped", 0),
        counters=(*counted(STOPPED, period, 1), *counted(CARRIED, place.key, unused)),
        test=test,
        inputs={"begins": begins.isoformat(), "unused_minutes": unused},
    )


def _look_up(case: Case) -> Priced | Refusal:
    place, moment = case.place, case.ask.occurred_at

    def covering(view: View) -> Stay | None:
        return next((stay for stay in stays_of(view, case.vehicle) if stay.is_good_at(moment)), None)

    def test(view: View) -> Refusal | None:
        if covering(view) is not None:
            return None
        message = f"For {spoken(case.plate)} nothing is paid at {place.label} with this card now."
        return Refusal(reason=reasons.NOT_PAID, message=message)

    def tell(view: View) -> str:
        stay = covering(view)
        assert stay is not None  # noqa: S101 - it has passed the test
        ends = f"{stay.ends.astimezone(case.tariff.zone):%H:%M}"
        grace = ", and within the ten minutes after" if moment > stay.ends else ""
        return f"Paid until {ends}{grace}."

    return asked(case, test, tell)


def _running(case: Case, view: View, begins: datetime) -> Stay | Refusal:
    """The stay of this payer that began then."""
    for stay in stays_of(view, case.vehicle):
        if stay.begins == begins and not stay.stopped:
            return stay
    message = f"With this card no stay of {spoken(case.plate)} at {case.place.label} began then and goes on."
    return Refusal(reason=reasons.NO_SESSION, message=message)


def _length(case: Case, minutes: int) -> Refusal | None:
    place = case.place
    if case.has_badge:
        return None
    if minutes < place.min_minutes:
        message = f"At {place.label} the shortest stay is {place.min_minutes} minutes."
        return Refusal(reason=reasons.TOO_SHORT, message=message)
    if minutes > place.max_minutes:
        message = f"At {place.label} the longest stay is {place.max_minutes} minutes."
        return Refusal(reason=TOO_LONG, message=message)
    return None


def _not_carried(place: Place) -> Refusal:
    message = f"At {place.label} there are not so many unused minutes to carry."
    return Refusal(reason=reasons.NOT_CARRIED, message=message)


_PRICES: Mapping[str, Callable[[Case], Priced | Refusal]] = {
    "start": _start,
    "extend": _extend,
    "stop": _stop,
    "visit": _visit,
    "enter": enter,
    "pay-on-exit": leave,
    "look-up": _look_up,
    "permit-check": check_permit,
}
