"""Parking, decision by decision: who asks for what and when, what is known, and what becomes of it and why.

Each row is read from left to right: what happens; the action with its details; the person's category; what
the payer's counters hold already; the moment, by the clock in London; then the reason, the amount posted in
pence, and where the rule comes from. The tariff is that of `parking_tariffs.py`.
"""

# ruff: noqa: E501 - a table is read by its columns

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from cardservice.services.parking.reasons import REASONS
from cardservice.services.parking.stays import period_of, permit_from
from cardservice.services.seam import Ask, AskKind, Decision, Holder, Quote
from tests.cardservice.services.parking_tariffs import load, parking, vehicle

LONDON = ZoneInfo("Europe/London")
HOLDER = UUID(int=1)
CAR = "AB12CDE"
TARIFF, DESIGN, ORDER = "tariff file", "parking.md, Rules", "traffic order"


@dataclass(frozen=True, slots=True)
class Used:
    """A counter of the payer's."""

    rule: str
    period: str
    used: int
    cardholder_id: UUID = HOLDER


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A limit of the payer's."""

    amount_minor: int
    rule: str = "parking.day"
    cardholder_id: UUID | None = None
    valid_from: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    recorded_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """A payer's state."""

    counters: tuple[Used, ...] = ()
    limits: tuple[Ceiling, ...] = ()
    version: int = 1
    accounts: tuple[Any, ...] = ()


def at(text: str, fold: int = 0) -> datetime:
    """A moment by the clock in London."""
    return datetime.fromisoformat(text).replace(tzinfo=LONDON, fold=fold).astimezone(UTC)


def stay(place: str, begins: str, minutes: int, rule: str = "parking.session") -> Used:
    """A stay of the payer's, paid for."""
    return Used(rule, period_of(vehicle(place, CAR), at(begins)), minutes)


def permit(
    key: str, begins: str, months: int, *plates: str, rule: str = "parking.permit", used: int = 1
) -> Used:
    """A permit of the payer's, or what stands under it."""
    named = tuple(vehicle(key, plate) for plate in sorted(plates or (CAR,)))
    return Used(rule, permit_from(key, named, at(begins).date(), months).period, used)


def visits(year: int, used: int) -> Used:
    """So many of a payer's sessions for visitors in a year."""
    return Used("parking.visits", f"zone-a-visit/{year}", used)


@pytest.fixture(scope="module")
def tariff(tmp_path_factory: pytest.TempPathFactory) -> object:
    """The tests' tariff, prepared."""
    return parking().prepare(load(tmp_path_factory.mktemp("parking")).content)


def loaded(action: str, details: Mapping[str, Any]) -> Mapping[str, object]:
    """The details as the platform loads them."""
    values: Mapping[str, object] = parking().details_schema(action)().load(details)
    return values


def decided(
    tariff: object,
    action: str,
    details: Mapping[str, Any],
    moment: datetime,
    *,
    category: str = "adult",
    known: Known = Known(),
    amount: int | None = None,
    kind: AskKind = AskKind.REQUEST,
    currency: str = "GBP",
) -> Decision:
    """Quoted, signed at that price (or at `amount`), and decided."""
    holder = Holder(cardholder_id=HOLDER, card_kind="visitor", category=category)
    ask = Ask(
        service="parking",
        action=action,
        kind=kind,
        currency=currency,
        details=loaded(action, {"plate": CAR, **details}),
        occurred_at=moment,
    )
    price = parking().quote(ask, holder, tariff)
    signed = amount if amount is not None else price.amount_minor if isinstance(price, Quote) else 0
    ask = replace(ask, amount_minor=signed)
    return parking().decide(ask, holder, known, tariff)


def start(place: str, minutes: int, **more: Any) -> tuple[str, dict[str, Any]]:
    return "start", {"place": place, "minutes": minutes, **more}


def extend(place: str, begins: str, paid: int, minutes: int) -> tuple[str, dict[str, Any]]:
    since = at(begins).isoformat()
    return "extend", {"place": place, "started_at": since, "paid_minutes": paid, "minutes": minutes}


def leave(place: str, entered: str) -> tuple[str, dict[str, Any]]:
    return "pay-on-exit", {"place": place, "entered_at": at(entered).isoformat()}


def stop(place: str, begins: str, unused: int = 0) -> tuple[str, dict[str, Any]]:
    return "stop", {"place": place, "started_at": at(begins).isoformat(), "unused_minutes": unused}


def enter(place: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "enter", {"place": place, **more}


def renamed(key: str, first: str, last: str, new: list[str], *more: str) -> tuple[str, dict[str, Any]]:
    details = {"permit": key, "first_day": first, "last_day": last, "more_plates": list(more)}
    return "permit-change", {**details, "new_plates": new}


def look_up(place: str) -> tuple[str, dict[str, Any]]:
    return "look-up", {"place": place}


def buy(key: str, number: int, *more: str) -> tuple[str, dict[str, Any]]:
    return "permit", {"permit": key, "number": number, "more_plates": list(more)}


def give_up(key: str, first: str, last: str, *more: str) -> tuple[str, dict[str, Any]]:
    return "permit-end", {"permit": key, "first_day": first, "last_day": last, "more_plates": list(more)}


def visiting(place: str, key: str = "zone-a-visit") -> tuple[str, dict[str, Any]]:
    return "visit", {"place": place, "visit": key}


HIGH, WHARF, GREEN, YARD, REACH, MARKET = (
    *("high-street", "old-wharf", "green"),
    *("night-yard", "east-reach", "market-street"),
)
NOBODY = ()
MONDAY = "2026-06-15T"
STAYS = (stay(HIGH, MONDAY + "10:00", 60),)
OTHER = "XY99ZZZ"
HOUSE = permit("household", MONDAY + "09:00", 12, CAR, OTHER)
INSIDE = Used("parking.held", f"{vehicle('old-wharf', CAR)}/{UUID(int=7)}/2026-06-22T09:00:00Z", 600)
YEAR = (
    permit("zone-a", "2026-03-15T10:00", 12),
    permit("zone-a", "2026-03-15T10:00", 12, rule="parking.permit-paid", used=4500),
)
BADGE = "SI 2000/683 (England), by services.md, Parking"

# fmt: off
TABLE: list[tuple[str, tuple[str, dict[str, Any]], str, tuple[Used, ...], str, str, int, str]] = [
    # what happens              action and details         who         known    moment               reason      pence  source
    ("half an hour",            start(HIGH, 30),           "adult",    NOBODY, MONDAY + "10:00",     "approved",    90, TARIFF),
    ("and a minute",            start(HIGH, 31),           "adult",    NOBODY, MONDAY + "10:00",     "approved",   160, TARIFF),
    ("an hour",                 start(HIGH, 60),           "adult",    NOBODY, MONDAY + "10:00",     "approved",   160, TARIFF),
    ("61 minutes",              start(HIGH, 61),           "adult",    NOBODY, MONDAY + "10:00",     "approved",   300, TARIFF),
    ("just max stay",           start(HIGH, 120),          "adult",    NOBODY, MONDAY + "10:00",     "approved",   300, TARIFF),
    ("a minute beyond",         start(HIGH, 121),          "adult",    NOBODY, MONDAY + "10:00",     "max_stay",     0, TARIFF),
    ("a resident's hour",       start(HIGH, 60),           "resident", NOBODY, MONDAY + "10:00",     "approved",   128, TARIFF),
    ("before eight it is free", start(HIGH, 60),           "adult",    NOBODY, MONDAY + "07:00",     "approved",     0, TARIFF),
    ("a minute of charge",      start(HIGH, 61),           "adult",    NOBODY, MONDAY + "07:00",     "approved",    90, TARIFF),
    ("17:59 for two hours",     start(HIGH, 120),          "adult",    NOBODY, MONDAY + "17:59",     "approved",    90, TARIFF),
    ("18:00 for two hours",     start(HIGH, 120),          "adult",    NOBODY, MONDAY + "18:00",     "approved",     0, TARIFF),
    ("Sunday 09:59",            start(HIGH, 1),            "adult",    NOBODY, "2026-06-14T09:59",   "approved",     0, TARIFF),
    ("Sunday 10:00",            start(HIGH, 1),            "adult",    NOBODY, "2026-06-14T10:00",   "approved",   100, TARIFF),
    ("a bank holiday 09:00",    start(HIGH, 60),           "adult",    NOBODY, "2026-05-25T09:00",   "approved",     0, "calendar"),
    ("Monday after it 09:00",   start(HIGH, 60),           "adult",    NOBODY, "2026-06-01T09:00",   "approved",   160, "calendar"),
    ("substitute holiday",      start(HIGH, 60),           "adult",    NOBODY, "2026-12-28T10:00",   "approved",   100, "calendar"),
    ("last day of calendar",    start(HIGH, 30),           "adult",    NOBODY, "2028-12-30T10:00",   "approved",    90, "calendar"),
    ("beyond the calendar",     start(HIGH, 30),           "adult",    NOBODY, "2029-01-01T10:00",   "calendar_ended", 0, "calendar"),
    ("into the day beyond it",  start(HIGH, 60),           "adult",    NOBODY, "2028-12-31T23:00",   "approved",     0, "calendar"),
    ("a minute further",        start(HIGH, 60),           "adult",    NOBODY, "2028-12-31T23:01",   "calendar_ended", 0, "calendar"),
    ("leap day, a Tuesday",     start(HIGH, 30),           "adult",    NOBODY, "2028-02-29T10:00",   "approved",    90, TARIFF),
    ("month's end, midnight",   start(GREEN, 40),          "adult",    NOBODY, "2026-01-31T23:50",   "approved",    80, TARIFF),
    ("free for 30 minutes",     start(GREEN, 30),          "adult",    NOBODY, MONDAY + "10:00",     "approved",     0, TARIFF),
    ("31 cost from the first",  start(GREEN, 31),          "adult",    NOBODY, MONDAY + "10:00",     "approved",    80, TARIFF),
    ("clocks go on: 1 h real",  start(GREEN, 60),          "adult",    NOBODY, "2026-03-29T00:30",   "approved",   120, DESIGN),
    ("clocks go back",          start(GREEN, 120),         "adult",    NOBODY, "2026-10-25T00:30",   "approved",   240, DESIGN),
    ("a day of 23 hours",       leave(WHARF, "2026-03-29T00:00"), "adult", NOBODY, "2026-03-30T00:00", "approved", 600, TARIFF),
    ("Monday 01:59",            start(YARD, 1),            "adult",    NOBODY, MONDAY + "01:59",     "approved",   300, TARIFF),
    ("Monday 02:00",            start(YARD, 1),            "adult",    NOBODY, MONDAY + "02:00",     "closed",       0, TARIFF),
    ("Sunday into Monday",      start(YARD, 120),          "adult",    NOBODY, "2026-06-14T23:00",   "approved",   500, TARIFF),
    ("beyond closing",          start(YARD, 181),          "adult",    NOBODY, "2026-06-14T23:00",   "closed",       0, TARIFF),
    ("an unknown place",        start("nowhere", 30),      "adult",    NOBODY, MONDAY + "10:00",     "place_unknown", 0, TARIFF),
    ("before the tariff",       start(HIGH, 30),           "adult",    NOBODY, "2025-12-31T23:59",   "tariff_not_yet_valid", 0, TARIFF),
    ("after the tariff",        start(HIGH, 30),           "adult",    NOBODY, "2030-01-01T00:00",   "tariff_expired", 0, TARIFF),
    # Extending: the whole stay's price less what is paid.
    ("an hour more",            extend(HIGH, MONDAY + "10:00", 60, 60), "adult", STAYS, MONDAY + "10:59", "approved", 140, DESIGN),
    ("in the tenth minute",     extend(HIGH, MONDAY + "10:00", 60, 60), "adult", STAYS, MONDAY + "11:10", "approved", 140, DESIGN),
    ("in the eleventh",         extend(HIGH, MONDAY + "10:00", 60, 60), "adult", STAYS, MONDAY + "11:11", "session_over", 0, DESIGN),
    ("beyond max stay",         extend(HIGH, MONDAY + "10:00", 60, 61), "adult", STAYS, MONDAY + "10:59", "max_stay", 0, TARIFF),
    ("a stay of nobody's",      extend(HIGH, MONDAY + "10:00", 60, 60), "adult", NOBODY, MONDAY + "10:59", "no_session", 0, DESIGN),
    ("extended meanwhile",      extend(HIGH, MONDAY + "10:00", 30, 30), "adult", STAYS, MONDAY + "10:20", "session_changed", 0, DESIGN),
    # Stopping: nothing is given back, and only some places carry minutes on.
    ("stopped",                 stop(HIGH, MONDAY + "10:00"),     "adult", STAYS, MONDAY + "10:30", "approved", 0, DESIGN),
    ("no minutes carried",      stop(HIGH, MONDAY + "10:00", 30), "adult", STAYS, MONDAY + "10:30", "not_carried", 0, TARIFF),
    ("minutes carried",         stop(GREEN, MONDAY + "10:00", 30), "adult", (stay(GREEN, MONDAY + "10:00", 60),), MONDAY + "10:30", "approved", 0, TARIFF),
    ("more than are left",      stop(GREEN, MONDAY + "10:00", 31), "adult", (stay(GREEN, MONDAY + "10:00", 60),), MONDAY + "10:30", "not_carried", 0, TARIFF),
    ("over by itself",          stop(HIGH, MONDAY + "10:00"),     "adult", STAYS, MONDAY + "11:00", "session_over", 0, DESIGN),
    ("carried minutes used",    start(GREEN, 60, carried_minutes=20), "adult", (Used("parking.carried", GREEN, 20),), MONDAY + "12:00", "approved", 80, TARIFF),
    ("more than one has",       start(GREEN, 60, carried_minutes=21), "adult", (Used("parking.carried", GREEN, 20),), MONDAY + "12:00", "not_carried", 0, TARIFF),
    # Paying on exit.
    ("one hour",                leave(WHARF, MONDAY + "10:00"), "adult", NOBODY, MONDAY + "11:00",   "approved",   100, TARIFF),
    ("and a minute",            leave(WHARF, MONDAY + "10:00"), "adult", NOBODY, MONDAY + "11:01",   "approved",   200, TARIFF),
    ("daily maximum",           leave(WHARF, MONDAY + "00:00"), "adult", NOBODY, MONDAY + "23:59",   "approved",   600, TARIFF),
    ("and the next day's first", leave(WHARF, MONDAY + "00:00"), "adult", NOBODY, "2026-06-16T00:01", "approved",  700, TARIFF),
    ("eight days",              leave(WHARF, MONDAY + "00:00"), "adult", NOBODY, "2026-06-23T00:00", "times_wrong",  0, DESIGN),
    ("entered in the future",   leave(WHARF, MONDAY + "12:00"), "adult", NOBODY, MONDAY + "11:00",   "times_wrong",  0, DESIGN),
    ("paid at the wrong end",   start(WHARF, 60),          "adult",    NOBODY, MONDAY + "10:00",     "paid_on_exit", 0, TARIFF),
    ("no barrier in a street",  leave(HIGH, MONDAY + "10:00"), "adult", NOBODY, MONDAY + "11:00",    "not_paid_on_exit", 0, TARIFF),
    # An amount is reserved on entry, and released on exit.
    ("drives in",               enter(WHARF),              "adult",    NOBODY, MONDAY + "10:00",     "approved",   600, TARIFF),
    ("the same, twice",         enter(WHARF),              "adult",    (INSIDE,), MONDAY + "10:05",  "entered_already", 0, DESIGN),
    ("another vehicle",         enter(WHARF, plate="P1"),  "adult",    (INSIDE,), MONDAY + "10:05",  "approved",   600, TARIFF),
    ("with a permit",           enter(WHARF, permit="household"), "adult", (HOUSE,), MONDAY + "10:00", "approved",   0, TARIFF),
    ("with none of one's own",  enter(WHARF, permit="household"), "adult", NOBODY, MONDAY + "10:00", "no_permit",    0, TARIFF),
    ("with one of elsewhere",   enter(WHARF, permit="zone-a"), "resident", YEAR, MONDAY + "10:00",   "permit_not_here", 0, TARIFF),
    ("a badge pays there",      enter(WHARF),              "blue-badge", NOBODY, MONDAY + "10:00",   "approved",   600, TARIFF),
    ("where one pays first",    enter(GREEN),              "adult",    NOBODY, MONDAY + "10:00",     "not_paid_on_exit", 0, TARIFF),
    ("beyond the calendar",     enter(WHARF),              "adult",    NOBODY, "2029-01-01T00:00",   "calendar_ended", 0, "calendar"),
    ("drives out",              leave(WHARF, MONDAY + "10:00"), "adult", (INSIDE,), MONDAY + "12:00", "approved",  200, TARIFF),
    ("by whatever minute",      leave(WHARF, MONDAY + "10:01"), "adult", (INSIDE,), MONDAY + "12:01", "approved",  200, TARIFF),
    ("dearer than reserved",    leave(WHARF, MONDAY + "00:00"), "adult", (INSIDE,), "2026-06-17T00:00", "approved", 1200, TARIFF),
    # Grace: at the end, not at the start.
    ("not yet paid",            look_up(HIGH),             "adult",    NOBODY, MONDAY + "10:09",     "not_paid",     0, DESIGN),
    ("paid",                    look_up(HIGH),             "adult",    STAYS,  MONDAY + "11:00",     "approved",     0, DESIGN),
    ("tenth minute after",      look_up(HIGH),             "adult",    STAYS,  MONDAY + "11:10",     "approved",     0, DESIGN),
    ("eleventh minute after",   look_up(HIGH),             "adult",    STAYS,  MONDAY + "11:11",     "not_paid",     0, DESIGN),
    ("before it began",         look_up(HIGH),             "adult",    STAYS,  MONDAY + "09:59",     "not_paid",     0, DESIGN),
    ("at another place",        look_up(GREEN),            "adult",    STAYS,  MONDAY + "10:30",     "not_paid",     0, DESIGN),
    ("after it was stopped",    look_up(HIGH),             "adult",    (*STAYS, stay(HIGH, MONDAY + "10:00", 1, "parking.stopped")), MONDAY + "10:31", "not_paid", 0, DESIGN),
    # Permits.
    ("the first",               buy("zone-a", 1),          "resident", NOBODY, MONDAY + "10:00",     "approved",  4500, TARIFF),
    ("a second is dearer",      buy("zone-a", 2),          "resident", (permit("zone-a", MONDAY + "10:00", 12, "XY99ZZZ"),), MONDAY + "10:00", "approved", 9000, TARIFF),
    ("a second as the first",   buy("zone-a", 1),          "resident", (permit("zone-a", MONDAY + "10:00", 12, "XY99ZZZ"),), MONDAY + "10:00", "permit_number", 0, TARIFF),
    ("a third",                 buy("zone-a", 3),          "resident", NOBODY, MONDAY + "10:00",     "permit_limit", 0, TARIFF),
    ("twice for one vehicle",   buy("zone-a", 2),          "resident", (permit("zone-a", MONDAY + "10:00", 12),), MONDAY + "10:00", "permit_held", 0, TARIFF),
    ("not a resident",          buy("zone-a", 1),          "adult",    NOBODY, MONDAY + "10:00",     "permit_not_for_holder", 0, TARIFF),
    ("no such permit",          buy("zone-z", 1),          "resident", NOBODY, MONDAY + "10:00",     "permit_unknown", 0, TARIFF),
    ("checked on its last day", ("permit-check", {"place": HIGH}), "resident", (permit("zone-a", "2027-02-28T10:00", 12),), "2028-02-27T23:59", "approved", 0, DESIGN),
    ("and the day after",       ("permit-check", {"place": HIGH}), "resident", (permit("zone-a", "2027-02-28T10:00", 12),), "2028-02-28T00:00", "no_permit", 0, DESIGN),
    ("of a leap day",           ("permit-check", {"place": HIGH}), "resident", (permit("zone-a", "2028-02-29T10:00", 12),), "2028-11-30T10:00", "approved", 0, DESIGN),
    ("parked with a permit",    start(HIGH, 60, permit="zone-a"), "resident", (permit("zone-a", MONDAY + "09:00", 12),), MONDAY + "10:00", "approved", 0, TARIFF),
    ("without having one",      start(HIGH, 60, permit="zone-a"), "resident", NOBODY, MONDAY + "10:00", "no_permit", 0, TARIFF),
    ("a permit of elsewhere",   start(GREEN, 60, permit="zone-a"), "resident", NOBODY, MONDAY + "10:00", "permit_not_here", 0, TARIFF),
    # A permit that names several vehicles: one permit, good for each of them.
    ("for two vehicles",        buy("household", 1, "XY99 ZZZ"), "adult", NOBODY, MONDAY + "10:00",  "approved", 10000, TARIFF),
    ("one of them twice",       buy("household", 1, "ab12 cde"), "adult", NOBODY, MONDAY + "10:00",  "approved", 10000, TARIFF),
    ("for three",               buy("household", 1, "XY99ZZZ", "P1"), "adult", NOBODY, MONDAY + "10:00", "permit_vehicles", 0, TARIFF),
    ("for two of one's own",    buy("zone-a", 1, "XY99ZZZ"), "resident", NOBODY, MONDAY + "10:00",   "permit_vehicles", 0, TARIFF),
    ("one is in another",       buy("household", 1, "XY99ZZZ"), "adult", (permit("household", MONDAY + "09:00", 12, OTHER),), MONDAY + "10:00", "permit_held", 0, TARIFF),
    ("the first vehicle",       start(HIGH, 60, permit="household"), "adult", (HOUSE,), MONDAY + "10:00", "approved", 0, TARIFF),
    ("the second vehicle",      start(HIGH, 60, permit="household", plate=OTHER), "adult", (HOUSE,), MONDAY + "10:00", "approved", 0, TARIFF),
    ("a third vehicle",         start(HIGH, 60, permit="household", plate="P1"), "adult", (HOUSE,), MONDAY + "10:00", "no_permit", 0, TARIFF),
    # A permit given up: whole months that have not begun go back; staff pay them out.
    ("given up",                give_up("zone-a", "2026-03-15", "2027-03-14"), "resident", YEAR, MONDAY + "10:00", "approved", 0, DESIGN),
    ("with other days",         give_up("zone-a", "2026-03-15", "2027-03-15"), "resident", YEAR, MONDAY + "10:00", "no_permit", 0, DESIGN),
    ("after its last day",      give_up("zone-a", "2026-03-15", "2027-03-14"), "resident", YEAR, "2027-03-15T00:00", "no_permit", 0, DESIGN),
    ("given up twice",          give_up("zone-a", "2026-03-15", "2027-03-14"), "resident", (*YEAR, permit("zone-a", "2026-03-15T10:00", 12, rule="parking.permit-ended")), MONDAY + "10:00", "no_permit", 0, DESIGN),
    ("parked after that",       start(HIGH, 60, permit="zone-a"), "resident", (*YEAR, permit("zone-a", "2026-03-15T10:00", 12, rule="parking.permit-ended")), MONDAY + "10:00", "no_permit", 0, DESIGN),
    ("a first one again",       buy("zone-a", 1),          "resident", (*YEAR, permit("zone-a", "2026-03-15T10:00", 12, rule="parking.permit-ended")), MONDAY + "10:00", "approved", 4500, TARIFF),
    ("of two vehicles",         give_up("household", "2026-06-15", "2027-06-14", OTHER), "adult", (HOUSE,), MONDAY + "10:00", "approved", 0, DESIGN),
    ("one of them alone",       give_up("household", "2026-06-15", "2027-06-14"), "adult", (HOUSE,), MONDAY + "10:00", "no_permit", 0, DESIGN),
    # Other vehicles in a permit: its days and what was paid for it stay.
    ("another car",             renamed("zone-a", "2026-03-15", "2027-03-14", [OTHER]), "resident", YEAR, MONDAY + "10:00", "approved", 0, TARIFF),
    ("on its last day",         renamed("zone-a", "2026-03-15", "2027-03-14", [OTHER]), "resident", YEAR, "2027-03-14T23:59", "approved", 0, DESIGN),
    ("after it",                renamed("zone-a", "2026-03-15", "2027-03-14", [OTHER]), "resident", YEAR, "2027-03-15T00:00", "no_permit", 0, DESIGN),
    ("of other days",           renamed("zone-a", "2026-03-14", "2027-03-14", [OTHER]), "resident", YEAR, MONDAY + "10:00", "no_permit", 0, DESIGN),
    ("more than it may name",   renamed("zone-a", "2026-03-15", "2027-03-14", [OTHER, "P1"]), "resident", YEAR, MONDAY + "10:00", "permit_vehicles", 0, TARIFF),
    ("for the same",            renamed("zone-a", "2026-03-15", "2027-03-14", [CAR]), "resident", YEAR, MONDAY + "10:00", "permit_held", 0, DESIGN),
    ("of no such permit",       renamed("zone-z", "2026-03-15", "2027-03-14", [OTHER]), "resident", YEAR, MONDAY + "10:00", "permit_unknown", 0, TARIFF),
    ("that has one already",    renamed("zone-a", "2026-03-15", "2027-03-14", [OTHER]), "resident", (*YEAR, permit("zone-a", MONDAY + "09:00", 12, OTHER)), MONDAY + "10:00", "permit_held", 0, DESIGN),
    ("one of two, for money",   renamed("household", "2026-06-15", "2027-06-14", [CAR, "P1"], OTHER), "adult", (HOUSE,), MONDAY + "10:00", "approved", 500, TARIFF),
    ("changed and back again",  ("permit-check", {"place": HIGH}), "resident", (permit("zone-a", "2026-03-15T10:00", 12, used=2), permit("zone-a", "2026-03-15T10:00", 12, rule="parking.permit-ended")), MONDAY + "10:00", "approved", 0, DESIGN),
    # Sessions for visitors: so many in a calendar year.
    ("a visitor",               visiting(HIGH),            "resident", NOBODY, MONDAY + "10:00",     "approved",   120, TARIFF),
    ("the fiftieth",            visiting(HIGH),            "resident", (visits(2026, 49),), MONDAY + "10:00", "approved", 120, TARIFF),
    ("the fifty-first",         visiting(HIGH),            "resident", (visits(2026, 50),), "2026-12-31T23:59", "visits_used", 0, TARIFF),
    ("in the new year",         visiting(HIGH),            "resident", (visits(2026, 50),), "2027-01-01T00:00", "approved", 120, TARIFF),
    ("not a resident's",        visiting(HIGH),            "adult",    NOBODY, MONDAY + "10:00",     "permit_not_for_holder", 0, TARIFF),
    ("not in the car park",     visiting(GREEN),           "resident", NOBODY, MONDAY + "10:00",     "visit_not_here", 0, TARIFF),
    ("no such session",         visiting(HIGH, "zone-b"),  "resident", NOBODY, MONDAY + "10:00",     "visit_not_here", 0, TARIFF),
    ("beyond closing",          visiting(YARD),            "resident", NOBODY, "2026-06-14T22:01",   "closed",       0, TARIFF),
    ("until closing",           visiting(YARD),            "resident", NOBODY, "2026-06-14T22:00",   "approved",   120, TARIFF),
    ("a visit is looked up",    look_up(HIGH),             "resident", (stay(HIGH, MONDAY + "10:00", 240, "parking.visit"),), MONDAY + "14:10", "approved", 0, DESIGN),
    ("and not extended",        extend(HIGH, MONDAY + "10:00", 60, 30), "resident", (stay(HIGH, MONDAY + "10:00", 60, "parking.visit"),), MONDAY + "10:30", "no_session", 0, DESIGN),
    # The Blue Badge: on street free and as long as one likes, in any vehicle; off street as its operator says.
    ("on street",               start(HIGH, 600),          "blue-badge", NOBODY, MONDAY + "08:00",   "approved",     0, BADGE),
    ("in any vehicle",          start(HIGH, 600, plate="P1"), "blue-badge", NOBODY, MONDAY + "08:00", "approved",    0, BADGE),
    ("by an order",             start(REACH, 900),         "blue-badge", NOBODY, MONDAY + "07:00",   "approved",     0, BADGE),
    ("limited waiting",         start(MARKET, 600),        "blue-badge", NOBODY, MONDAY + "08:00",   "approved",     0, BADGE),
    ("no caravan for all that", start(REACH, 60, vehicle="caravan"), "blue-badge", NOBODY, MONDAY + "10:00", "vehicle_not_allowed", 0, ORDER),
    ("the operator says free",  start(GREEN, 600),         "blue-badge", NOBODY, MONDAY + "08:00",   "approved",     0, TARIFF),
    ("closed is closed",        start(YARD, 181),          "blue-badge", NOBODY, "2026-06-14T23:00", "closed",       0, TARIFF),
    ("the operator says pay",   leave(WHARF, MONDAY + "10:00"), "blue-badge", NOBODY, MONDAY + "11:00", "approved", 100, TARIFF),
    ("nothing to carry",        stop(GREEN, MONDAY + "10:00", 30), "blue-badge", (stay(GREEN, MONDAY + "10:00", 60),), MONDAY + "10:30", "not_carried", 0, TARIFF),
    # By the traffic orders: tiers of East Reach, Monday to Saturday 07:00 to 18:00; 20 minutes in Market Street.
    ("less than minTime",       start(REACH, 59),          "adult",    NOBODY, MONDAY + "10:00",     "too_short",    0, ORDER),
    ("minTime",                 start(REACH, 60),          "adult",    NOBODY, MONDAY + "10:00",     "approved",   420, ORDER),
    ("01:59",                   start(REACH, 119),         "adult",    NOBODY, MONDAY + "07:00",     "approved",   420, ORDER),
    ("02:00 is the next line",  start(REACH, 120),         "adult",    NOBODY, MONDAY + "07:00",     "approved",   500, ORDER),
    ("maxTime",                 start(REACH, 660),         "adult",    NOBODY, MONDAY + "07:00",     "approved",  1700, ORDER),
    ("a minute beyond",         start(REACH, 661),         "adult",    NOBODY, MONDAY + "07:00",     "too_long",     0, ORDER),
    ("half of it after 18:00",  start(REACH, 60),          "adult",    NOBODY, MONDAY + "17:30",     "approved",   320, ORDER),
    ("Sunday is no such day",   start(REACH, 60),          "adult",    NOBODY, "2026-06-14T10:00",   "approved",     0, ORDER),
    ("a holiday is any Monday", start(REACH, 60),          "adult",    NOBODY, "2026-05-25T10:00",   "approved",   420, ORDER),
    ("a caravan",               start(REACH, 60, vehicle="caravan"), "adult", NOBODY, MONDAY + "10:00", "vehicle_not_allowed", 0, ORDER),
    ("20 minutes",              start(MARKET, 20),         "adult",    NOBODY, MONDAY + "10:00",     "approved",     0, ORDER),
    ("21 minutes",              start(MARKET, 21),         "adult",    NOBODY, MONDAY + "10:00",     "max_stay",     0, ORDER),
    ("21, of them 20 in hours", start(MARKET, 21),         "adult",    NOBODY, MONDAY + "07:59",     "approved",     0, ORDER),
]
# fmt: on


@pytest.mark.parametrize(
    ("wanted", "category", "counters", "moment", "reason", "pence"),
    [row[1:7] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_the_table(
    tariff: object,
    wanted: tuple[str, dict[str, Any]],
    category: str,
    counters: tuple[Used, ...],
    moment: str,
    reason: str,
    pence: int,
) -> None:
    decision = decided(tariff, *wanted, at(moment), category=category, known=Known(counters))
    assert (decision.reason, decision.amount_minor) == (reason, pence), decision.message
    assert decision.approved is (reason == "approved")
    assert sum(line.amount_minor for line in decision.lines) == pence
    assert decision.message.endswith(".")
    assert decision.message.isprintable()
    assert reason in REASONS


def test_the_table_is_about_what_is_refused() -> None:
    declined = [row for row in TABLE if row[5] != "approved"]
    assert len(TABLE) >= 80
    assert len(declined) >= len(TABLE) // 3


def test_every_reason_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "services" / "parking.md").read_text(encoding="utf-8")
    assert {reason for reason in REASONS if f"`{reason}`" not in page} == set()
