"""Looking a vehicle up by its plate alone: paid or with a permit until when, and never whose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cardservice.services.findable import Finding, Trace
from cardservice.services.parking import reasons
from cardservice.services.parking.plates import Vehicles, spoken
from cardservice.services.parking.stays import (
    ENDED,
    PERMIT,
    SESSION,
    STOPPED,
    VISIT,
    permits_of,
    stays_of,
)
from cardservice.services.parking.tariff import DAY_MINUTES, Place, Tariff
from cardservice.services.seam import Counter, Refusal


@dataclass(frozen=True, slots=True)
class _OfPayer:
    """What stays and permits are read from."""

    counters: Sequence[Counter]


def traces(question: Mapping[str, object], tariff: Tariff, vehicles: Vehicles) -> tuple[Trace, ...] | Refusal:
    """Where a vehicle's stays at a place stand, and its permits that are good there."""
    key, plate = str(question["place"]), str(question["plate"])
    place = tariff.places.get(key)
    if place is None:
        message = f"The tariff has no place {key[:60]!r}."
        return Refusal(reason=reasons.PLACE_UNKNOWN, message=message, data={"place": key})
    vehicle = vehicles.at(key, plate)
    stays = (Trace(rule, vehicle) for rule in (SESSION, VISIT, STOPPED))
    permits = (
        Trace(rule, permit, vehicles.at(permit, plate))
        for permit in sorted(place.permits)
        for rule in (PERMIT, ENDED)
    )
    return (*stays, *permits)


def find(
    question: Mapping[str, object],
    payers: Sequence[Sequence[Counter]],
    tariff: Tariff,
    moment: datetime,
    vehicles: Vehicles,
) -> Finding:
    """Until when the vehicle may stand there; the latest of all, whoever has paid."""
    place, plate = tariff.places[str(question["place"])], str(question["plate"])
    about, known = vehicles.at(place.key, plate), [_OfPayer(counters) for counters in payers]
    paid = [stay.ends for each in known for stay in stays_of(each, about) if stay.is_good_at(moment)]
    permit = _permit_ends(place, plate, known, tariff, moment, vehicles)
    until = max((*paid, *permit), default=None)
    if until is None:
        message = f"For {spoken(plate)} nothing is paid at {place.label} now."
        return Finding(found=False, message=message, about=about)
    ends = until.astimezone(tariff.zone)
    if until in permit:
        message = f"{spoken(plate)} has a permit for {place.label}."
        return Finding(found=True, message=message, about=about, until=until)
    grace = ", and within the ten minutes after" if moment > until else ""
    return Finding(found=True, message=f"Paid until {ends:%H:%M}{grace}.", about=about, until=until)


def _permit_ends(
    place: Place,
    plate: str,
    known: Sequence[_OfPayer],
    tariff: Tariff,
    moment: datetime,
    vehicles: Vehicles,
) -> list[datetime]:
    return [
        tariff.at(held.last_day, DAY_MINUTES)
        for each in known
        for held in permits_of(each, tariff.day_of(moment))
        if held.permit in place.permits and vehicles.at(held.permit, plate) in held.vehicles
    ]
