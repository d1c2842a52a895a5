"""Journeys of several legs, and fares by the time of day, case by case, each with where its rule comes from.

The feed is `several_legs.py`'s. A ride is `route clock stop clock stop`: boarded and alighted, by the clock in
London. What comes of it is the pence that each leg adds.
"""

# ruff: noqa: E501 - a table is read by its columns

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from cardservice.services.rated import DayCharge, Rated, Span, StoredTap
from cardservice.services.seam import Ask, AskKind, Quote, TariffError
from cardservice.services.transport.legs import RiddenLeg, price_legs
from cardservice.services.transport.tariff import Tariff
from tests.cardservice.services.feeds import MAP, load, transport
from tests.cardservice.services.several_legs import FILES, legs_travel, load_legs, prepared

LONDON = ZoneInfo("Europe/London")
MONDAY, SATURDAY, FAIR = "2026-06-15", "2026-06-13", "2026-12-12"
FRAMES, LEGS, CHANGES = "timeframes.txt", "fare_leg_rules.txt", "fare_transfer_rules.txt"
JOINS, PRODUCTS, OURS = "fare_leg_join_rules.txt", "fare_products.txt, amount", "transport.md"


def at(day: str, clock: str) -> datetime:
    """A moment by the clock in London."""
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=LONDON).astimezone(UTC)


@pytest.fixture(scope="module")
def tariff(tmp_path_factory: pytest.TempPathFactory) -> Tariff:
    """The feed, prepared."""
    return prepared(tmp_path_factory.mktemp("legs"))


def ridden(text: str, day: str = MONDAY) -> list[RiddenLeg]:
    """`b 10:00 a1 10:20 b1; t 10:30 b1 10:50 c1`: legs of a day."""
    legs = []
    for each in text.split(";"):
        route, boarded, start, alighted, end = each.split()
        legs.append(RiddenLeg(start, end, route, at(day, boarded), at(day, alighted)))
    return legs


# fmt: off
JOURNEYS = [
    # what, day, legs, category, pence of each leg, source of the rule
    # Times of the day.
    ("a bus", MONDAY, "b 10:00 a1 10:20 b1", "adult", [200], f"{LEGS}: an empty timeframe does not count"),
    ("the second before the peak", MONDAY, "b 06:59:59 a1 07:20 b1", "adult", [200], f"{FRAMES}: from start_time"),
    ("the peak's first second", MONDAY, "b 07:00 a1 07:20 b1", "adult", [250], f"{FRAMES}: start_time is in it"),
    ("the peak's last second", MONDAY, "b 09:29:59 a1 10:20 b1", "adult", [250], f"{FRAMES}: until end_time"),
    ("the peak's end is not in it", MONDAY, "b 09:30 a1 10:20 b1", "adult", [200], f"{FRAMES}: less than end_time"),
    ("the afternoon's peak is of the same group", MONDAY, "b 17:59:59 a1 18:20 b1", "adult", [250], f"{FRAMES}: at least one record"),
    ("a Saturday has no peak", SATURDAY, "b 08:00 a1 08:20 b1", "adult", [200], f"{FRAMES}, service_id: calendar.txt"),
    ("a bank holiday has none", "2026-05-25", "b 08:00 a1 08:20 b1", "adult", [200], "calendar_dates.txt: removed"),
    ("the Tuesday after has", "2026-05-26", "b 08:00 a1 08:20 b1", "adult", [250], "calendar.txt: tuesday"),
    ("the service's last day", "2026-11-30", "b 08:00 a1 08:20 b1", "adult", [250], "calendar.txt, end_date: included"),
    ("the day after", "2026-12-01", "b 08:00 a1 08:20 b1", "adult", [200], "calendar.txt, end_date"),
    ("a day that was added", FAIR, "f 12:00 a1 12:20 b1", "adult", [150], "calendar_dates.txt: added; no times: all day"),
    ("its first second", FAIR, "f 00:00 a1 00:20 b1", "adult", [150], f"{FRAMES}: start_time empty is 00:00:00"),
    ("its last", FAIR, "f 23:59:59 a1 23:59:59 b1", "adult", [150], f"{FRAMES}: end_time empty is 24:00:00"),
    ("the day after the fair", "2026-12-13", "f 00:00 a1 00:20 b1", "adult", [500], f"{FRAMES}, service_id"),
    ("a tram that arrives at night", MONDAY, "t 21:30 a1 22:00 b1", "adult", [100], f"{LEGS}, to_timeframe_group_id"),
    ("a tram that arrives just before", MONDAY, "t 21:30 a1 21:59:59 b1", "adult", [300], f"{LEGS}, to_timeframe_group_id"),
    ("until 24:00:00", MONDAY, "t 22:30 a1 23:59:59 b1", "adult", [100], f"{FRAMES}: 24:00:00 is the day's end"),
    ("and from 0:00:00", MONDAY, "t 00:00 a1 00:00 b1", "adult", [100], f"{FRAMES}: H:MM:SS"),
    ("until before five", MONDAY, "t 04:30 a1 05:00 b1", "adult", [300], f"{FRAMES}: less than end_time"),
    # Networks and priorities.
    ("the peak's rule counts, not the one for any time", MONDAY, "b 08:00 a1 08:20 b1", "adult", [250], f"{LEGS}, rule_priority"),
    ("a route in no network", MONDAY, "none 10:00 a1 10:20 b1", "adult", [900], f"{LEGS}: with priorities empty is any"),
    # Changes: how often, and within which time.
    ("two buses", MONDAY, "b 10:00 a1 10:20 b1; b 10:59 b1 11:30 c1", "adult", [200, 0], f"{CHANGES}, type 0: A + AB"),
    ("to the second", MONDAY, "b 10:00 a1 10:20 b1; b 11:00 b1 12:30 c1", "adult", [200, 0], f"{CHANGES}, duration_limit_type 1; the limit is in it: ours"),
    ("a second later another rule", MONDAY, "b 10:00 a1 10:20 b1; b 11:00:01 b1 12:30 c1", "adult", [200, 80], f"{CHANGES}: what is in time, of line 3"),
    ("and then no rule", MONDAY, "b 10:00 a1 11:20 b1; b 12:00:01 b1 12:30 c1", "adult", [200, 200], f"{CHANGES}: no arrangement"),
    ("a second change", MONDAY, "b 10:00 a1 10:10 b1; b 10:15 b1 10:20 a1; b 10:25 a1 10:30 b1", "adult", [200, 0, 80], f"{CHANGES}: least transfer_count that is enough"),
    ("a third", MONDAY, "b 10:00 a1 10:10 b1; b 10:15 b1 10:20 a1; b 10:25 a1 10:30 b1; b 10:35 b1 10:40 a1", "adult", [200, 0, 80, 80], f"{CHANGES}: S + BC"),
    ("a fourth is a journey of its own", MONDAY, "b 10:00 a1 10:05 b1; b 10:06 b1 10:07 a1; b 10:08 a1 10:09 b1; b 10:10 b1 10:11 a1; b 10:12 a1 10:13 b1", "adult", [200, 0, 80, 80, 200], f"{CHANGES}, transfer_count"),
    ("whose first change is the first again", MONDAY, "b 10:00 a1 10:05 b1; b 10:06 b1 10:07 a1; b 10:08 a1 10:09 b1; b 10:10 b1 10:11 a1; b 10:12 a1 10:13 b1; b 10:14 b1 10:15 a1", "adult", [200, 0, 80, 80, 200, 0], f"{CHANGES}, transfer_count"),
    ("the limit is from the first bus", MONDAY, "b 10:00 a1 10:10 b1; b 11:00 b1 11:50 a1; b 12:00:01 a1 12:30 b1", "adult", [200, 0, 200], OURS),
    ("a count without limit", MONDAY, "t 10:00 a1 10:05 b1; t 10:06 b1 10:07 a1; t 11:08 a1 12:09 b1; t 13:10 b1 13:11 a1", "adult", [300, 0, 0, 0], f"{CHANGES}, transfer_count -1"),
    ("a short change to the tram", MONDAY, "b 10:00 a1 10:20 b1; t 10:35 b1 10:50 c1", "adult", [200, 240], f"{CHANGES}, duration_limit_type 2; type 1: A + AB + B"),
    ("a longer one, there in time", MONDAY, "b 10:00 a1 10:20 b1; t 10:36 b1 11:30 c1", "adult", [200, 80], f"{CHANGES}, duration_limit_type 0; type 0"),
    ("there a second late", MONDAY, "b 10:00 a1 10:20 b1; t 10:36 b1 11:30:01 c1", "adult", [200, 300], f"{CHANGES}, duration_limit_type 0"),
    ("from arrival to arrival", MONDAY, "t 10:00 a1 10:20 b1; b 10:30 b1 11:20 c1", "adult", [300, 140], f"{CHANGES}, duration_limit_type 3"),
    ("a second more", MONDAY, "t 10:00 a1 10:20 b1; b 10:30 b1 11:20:01 c1", "adult", [300, 200], f"{CHANGES}, duration_limit_type 3"),
    # Changes: how they add up.
    ("a fare for both", MONDAY, "b 10:00 a1 10:20 b1; f 10:30 b1 11:20 c1", "adult", [200, 350], f"{CHANGES}, type 2: AB"),
    ("and one more, by what there was", MONDAY, "b 10:00 a1 10:20 b1; f 10:30 b1 11:20 c1; t 11:30 c1 11:40 a1", "adult", [200, 350, 120], f"{CHANGES}, type 2 after another: S + BC"),
    ("a fare for both that is less than the first", MONDAY, "f 10:30 b1 11:20 c1; t 11:30 c1 11:40 a1", "adult", [120, 0], f"{CHANGES}, type 2: AB; ours: the earlier leg costs less"),
    ("types one after the other", MONDAY, "b 10:00 a1 10:10 b1; t 10:15 b1 10:20 a1; b 10:25 a1 10:30 b1", "adult", [200, 240, 140], f"{CHANGES}, type 1 after another: S + BC + C"),
    ("a reduction of one's own", MONDAY, "b 10:00 a1 10:20 b1; t 10:35 b1 10:50 c1", "young", [100, 180], f"{PRODUCTS}: may be below zero; own category's"),
    ("an upgrade of one's own", MONDAY, "b 10:00 a1 10:20 b1; b 11:00:01 b1 11:50 c1", "young", [100, 30], "fare_products.txt, rider_category_id"),
    ("a reduction below nothing", MONDAY, "t 21:00 a1 22:00 b1; b 22:10 b1 22:20 a1; b 22:30 a1 22:40 b1", "young", [80, 0, 0], f"{PRODUCTS}; ours: S is not below zero"),
    ("the peak is the leg's own", MONDAY, "b 09:20 a1 09:40 b1; t 09:45 b1 10:00 c1", "adult", [250, 240], f"{LEGS}: each leg's groups"),
    # Empty groups.
    ("to a taxi from a group that is not named", MONDAY, "x 10:00 a1 10:20 b1; x 10:35 b1 10:50 c1", "adult", [600, 540], f"{CHANGES}: from_leg_group_id empty"),
    ("to a taxi from the metro", MONDAY, "m1 10:00 a1 10:20 b1; x 10:35 b1 10:50 c1", "adult", [220, 540], f"{CHANGES}: from_leg_group_id empty"),
    ("to a taxi from a group that is named", MONDAY, "b 10:00 a1 10:20 b1; x 10:35 b1 10:50 c1", "adult", [200, 600], f"{CHANGES}: excluding the ones listed"),
    ("to a taxi from a leg in no group", MONDAY, "none 10:00 a1 10:20 b1; x 10:35 b1 10:50 c1", "adult", [900, 600], f"{CHANGES}: all groups defined, and nothing else"),
    ("to the metro nobody changes", MONDAY, "b 10:00 a1 10:20 b1; m1 10:35 b1 10:50 c1", "adult", [200, 220], f"{CHANGES}: no arrangement"),
    # Joins.
    ("two lines that are one leg", MONDAY, "m1 10:00 a1 10:20 station; m2 10:35 platform 10:50 c1", "adult", [400, 0], f"{JOINS}: a single effective leg"),
    ("from a platform of the station", MONDAY, "m1 10:00 a1 10:20 platform-own; m2 10:35 bay 10:50 c1", "adult", [400, 0], f"{JOINS}, from_stop_id: a station"),
    ("not from the street", MONDAY, "m1 10:00 a1 10:20 b1; m2 10:35 platform 10:50 c1", "adult", [220, 220], f"{JOINS}, from_stop_id"),
    ("not from another platform", MONDAY, "m1 10:00 a1 10:20 platform; m2 10:35 station 10:50 c1", "adult", [220, 220], f"{JOINS}, to_stop_id"),
    ("not with another network", MONDAY, "m1 10:00 a1 10:20 platform; b 10:35 platform 10:50 c1", "adult", [220, 200], f"{JOINS}, to_network_id"),
    ("one leg that has no fare", MONDAY, "m1 10:00 c1 10:20 platform; m2 10:35 platform 10:50 a1", "adult", [900, 0], f"{JOINS}; {LEGS}: rows of the network do not match, the empty one does"),
    ("and then changed from", MONDAY, "m1 10:00 a1 10:20 platform; m2 10:35 platform 10:50 c1; x 11:00 c1 11:10 a1", "adult", [400, 0, 540], f"{CHANGES}: groups of effective legs"),
]
# fmt: on


@pytest.mark.parametrize("row", JOURNEYS, ids=lambda row: str(row[0]))
def test_journey(tariff: Tariff, row: tuple[str, str, str, str, list[int], str]) -> None:
    _, day, text, category, wanted, _ = row
    assert [leg.amount_minor for leg in price_legs(tariff, ridden(text, day), category)] == wanted


def test_the_table_has_every_type_and_its_boundaries() -> None:
    sources = "\n".join(str(row[-1]) for row in JOURNEYS)
    for number in range(4):
        assert f"duration_limit_type {number}" in sources
    for number in range(3):
        assert f"type {number}: " in sources
    assert len(JOURNEYS) >= 50


EVER = Span(date(2026, 1, 1), date(2026, 12, 31), at("2026-01-01", "00:00"), at("2026-12-31", "00:00"))


def taps_of(legs: Sequence[RiddenLeg], tariff: Tariff) -> list[StoredTap]:
    """The two taps of each leg."""
    found: list[StoredTap] = []
    for leg in legs:
        for action, stop, moment in (("tap-in", leg.start, leg.departs), ("tap-out", leg.end, leg.arrives)):
            inputs = {"stop": stop, "category": "adult", "tariff_version": tariff.version, "route": leg.route}
            found.append(
                StoredTap(
                    id=UUID(int=len(found) + 1),
                    action=action,
                    occurred_at=moment,
                    provider=str(leg.route),
                    inputs=inputs,
                )
            )
    return found


def charged(taps: Sequence[StoredTap], tariff: Tariff) -> tuple[DayCharge, ...]:
    service = transport()
    assert isinstance(service, Rated)
    return service.day_charges(taps, (), {tariff.version: tariff}, EVER)


def test_a_day_is_charged_by_journeys_in_whatever_order_its_taps_come(tariff: Tariff) -> None:
    legs = ridden("f 10:30 b1 11:20 c1; t 11:30 c1 11:40 a1; b 13:40 a1 13:50 b1")
    taps = taps_of(legs, tariff)
    found = charged(taps, tariff)
    # Two hours to the second after the tram the bus is of the same journey, and its rule's time is over.
    assert [(share.provider, share.amount_minor) for share in found[0].shares] == [("b", 200), ("f", 120)]
    assert [journey["basis"] for journey in found[0].told] == ["fare", "transfer", "fare"]
    assert all(charged(order, tariff) == found for order in list(permutations(taps))[::7])


@pytest.mark.parametrize(
    ("text", "pence"),
    [
        ("t 10:00 a1 10:10 b1; t 12:10 b1 12:20 a1", [300]),  # two hours to change in
        ("t 10:00 a1 10:10 b1; t 12:10:01 b1 12:20 a1", [600]),  # and a second
        ("t 03:00 a1 04:20 b1; t 04:29 b1 04:50 a1", [100]),  # a Monday's night is of last week
        ("t 03:00 a1 04:20 b1; t 04:30 b1 04:50 a1", [100, 100]),  # and a journey ends with its week
    ],
)
def test_which_legs_are_one_journey(tariff: Tariff, text: str, pence: list[int]) -> None:
    """Ours: the map's transfer_minutes after alighting, within a week."""
    found = charged(taps_of(ridden(text), tariff), tariff)
    assert [sum(share.amount_minor for share in day.shares) for day in found] == pence


def test_a_tap_that_is_missing_parts_a_journey(tariff: Tariff) -> None:
    taps = taps_of(ridden("t 10:00 a1 10:10 b1; t 10:20 b1 10:30 a1; t 10:40 a1 10:50 b1"), tariff)
    assert sum(each.amount_minor for each in charged(taps, tariff)[0].shares) == 300
    without = [tap for tap in taps if tap.id != UUID(int=4)]
    [day] = charged(without, tariff)
    assert [journey["charged_minor"] for journey in day.told] == [300, 1000, 300]


def test_a_quote_ends_where_the_fare_may_change(tariff: Tariff) -> None:
    def quoted(clock: str) -> Quote:
        details = {"from_stop": "a1", "to_stop": "b1", "route": "b"}
        ask = Ask(
            service="transport",
            action="single-fare",
            kind=AskKind.REQUEST,
            currency="GBP",
            details=details,
            occurred_at=at(MONDAY, clock),
        )
        found = transport().quote(ask, None, tariff)
        assert isinstance(found, Quote)
        return found

    assert (quoted("06:58").amount_minor, quoted("06:58").valid_until) == (200, at(MONDAY, "07:00"))
    assert (quoted("07:00").amount_minor, quoted("07:00").valid_until) == (250, at(MONDAY, "07:05"))
    assert quoted("23:58").valid_until == at("2026-06-16", "00:00")


@pytest.mark.parametrize(("day", "clock", "hours"), [("2026-03-29", "00:30", 4), ("2026-10-25", "00:30", 6)])
def test_timeframes_go_by_the_clock_on_the_wall(tariff: Tariff, day: str, clock: str, hours: int) -> None:
    """timeframes.txt, Local Time Semantics: five o'clock comes when the clock says so."""
    moment = at(day, clock)
    assert tariff.timeframes.at(moment + timedelta(hours=hours, minutes=-31)) == {"night"}
    assert tariff.timeframes.at(moment + timedelta(hours=hours - 1, minutes=30)) == set()


FRAME = "timeframe_group_id,start_time,end_time,service_id\n"
TRANSFER = "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type,fare_product_id\n"
JOIN = "from_network_id,to_network_id,from_stop_id,to_stop_id\n"
WEEK = "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n"
NO_DAYS = "service_id,start_date,end_date\nworking,20260101,20261231\n"
TWO_PRICES = FILES["fare_leg_rules.txt"].replace("peak,,bus-peak,2", "peak,,bus-peak,1")
TWO_GROUPS = FILES["fare_leg_rules.txt"] + "ferry,taxi,,,,night,taxi,1\n"

# fmt: off
REFUSED = [
    # file, its content, line, reason
    ("timeframes", f"{FRAME}peak,07:00,09:30:00,daily\n", 2, "start_time: '07:00' is not a time like 09:30:00"),
    ("timeframes", f"{FRAME}peak,07:60:00,09:30:00,daily\n", 2, "start_time: '07:60:00' is not a time from"),
    ("timeframes", f"{FRAME}peak,07:00:00,24:00:01,daily\n", 2, "end_time: '24:00:01' is not a time from"),
    ("timeframes", f"{FRAME}peak,22:00:00,05:00:00,daily\n", 2, "end_time: is not after start_time"),
    ("timeframes", f"{FRAME}peak,07:00:00,07:00:00,daily\n", 2, "end_time: is not after start_time"),
    ("timeframes", f"{FRAME}peak,07:00:00,,daily\n", 2, "end_time: is empty"),
    ("timeframes", f"{FRAME}peak,,07:00:00,daily\n", 2, "start_time: is empty"),
    ("timeframes", f"{FRAME}peak,,,never\n", 2, "service_id: there is no service 'never'"),
    ("timeframes", f"{FRAME}peak,,,\n", 2, "service_id: is empty"),
    ("timeframes", f"{FRAME}peak,07:00:00,09:00:00,daily\npeak,08:59:59,10:00:00,daily\n", 3, "start_time: overlaps line 2"),
    ("timeframes", f"{FRAME}peak,,,daily\npeak,,,daily\n", 3, "is on line 2 already"),
    ("timeframes", "timeframe_group_id,service_id,season\npeak,daily,summer\n", 2, "column 'season' is not known"),
    ("timeframes", "service_id\ndaily\n", 1, "required column 'timeframe_group_id' is missing"),
    ("calendar", NO_DAYS, 1, "required column 'monday' is missing"),
    ("calendar", f"{WEEK}daily,1,1,1,1,1,1,2,20260101,20261231\n", 2, "sunday: is not between 0 and 1"),
    ("calendar", f"{WEEK}daily,1,1,1,1,1,1,1,20260102,20260101\n", 2, "end_date: is before start_date"),
    ("fare_leg_rules", "to_timeframe_group_id,fare_product_id\nnoon,bus\n", 2, "to_timeframe_group_id: there is no 'noon'"),
    ("fare_leg_rules", TWO_PRICES, 3, "another price than line 2"),
    ("fare_leg_rules", TWO_GROUPS, 13, "is in another leg group than line 11"),
    ("fare_transfer_rules", f"{TRANSFER}plane,bus,,,,0,\n", 2, "from_leg_group_id: there is no 'plane'"),
    ("fare_transfer_rules", f"{TRANSFER}bus,plane,,,,0,\n", 2, "to_leg_group_id: there is no 'plane'"),
    ("fare_transfer_rules", f"{TRANSFER}bus,tram,,,,0,gone\n", 2, "fare_product_id: there is no 'gone'"),
    ("fare_transfer_rules", f"{TRANSFER}bus,tram,,,,0,paper\n", 2, "fare_product_id: the card cannot pay 'paper'"),
    ("fare_transfer_rules", f"{TRANSFER}bus,bus,,,,0,\n", 2, "transfer_count: is empty, and both"),
    ("fare_transfer_rules", f"{TRANSFER},,,,,0,\n", 2, "transfer_count: is empty, and both"),
    ("fare_transfer_rules", f"{TRANSFER}bus,tram,1,,,0,\n", 2, "transfer_count: must be empty"),
    ("fare_transfer_rules", f"{TRANSFER}bus,bus,0,,,0,\n", 2, "transfer_count: is not between"),
    ("fare_transfer_rules", f"{TRANSFER}bus,bus,-2,,,0,\n", 2, "transfer_count: is not a whole number"),
    ("fare_transfer_rules", f"{TRANSFER}bus,tram,,60,,0,\n", 2, "duration_limit_type: is empty"),
    ("fare_transfer_rules", f"{TRANSFER}bus,tram,,,1,0,\n", 2, "duration_limit_type: must be empty"),
    ("fare_transfer_rules", f"{TRANSFER}bus,tram,,60,4,0,\n", 2, "duration_limit_type: is not between 0 and 3"),
    ("fare_transfer_rules", f"{TRANSFER}bus,tram,,0,1,0,\n", 2, "duration_limit: is not between"),
    ("fare_transfer_rules", f"{TRANSFER}bus,tram,,,,3,\n", 2, "fare_transfer_type: is not between 0 and 2"),
    ("fare_transfer_rules", f"{TRANSFER}bus,tram,,,,,\n", 2, "fare_transfer_type: is empty"),
    ("fare_transfer_rules", f"{TRANSFER}bus,tram,,,,0,\nbus,tram,,,,1,less\n", 3, "is for the same change as line 2"),
    ("fare_transfer_rules", "fare_transfer_type,filter\n0,best\n", 2, "column 'filter' is not known"),
    ("fare_leg_join_rules", f"{JOIN}plane,plane,,\n", 2, "from_network_id: there is no 'plane'"),
    ("fare_leg_join_rules", f"{JOIN}metro,plane,,\n", 2, "to_network_id: there is no 'plane'"),
    ("fare_leg_join_rules", f"{JOIN}metro,tram,,\n", 2, "to_network_id: must be the same"),
    ("fare_leg_join_rules", f"{JOIN}metro,,,\n", 2, "to_network_id: is empty"),
    ("fare_leg_join_rules", f"{JOIN}metro,metro,b1,\n", 2, "to_stop_id: is empty"),
    ("fare_leg_join_rules", f"{JOIN}metro,metro,,b1\n", 2, "from_stop_id: is empty"),
    ("fare_leg_join_rules", f"{JOIN}metro,metro,b1,zz\n", 2, "to_stop_id: there is no stop or station 'zz'"),
    ("fare_leg_join_rules", f"{JOIN}metro,metro,entrance,b1\n", 2, "from_stop_id: there is no stop or station"),
    ("fare_leg_join_rules", f"{JOIN}metro,metro,,\nmetro,metro,,\n", 3, "is on line 2 already"),
]
# fmt: on


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: f"{row[0]}: {row[3]}")
def test_refused(row: tuple[str, str, int, str], tmp_path: Path) -> None:
    name, content, line, reason = row
    with pytest.raises(TariffError) as refused:
        load_legs(tmp_path, **{name: content})
    assert (refused.value.file, refused.value.line) == (f"{name}.txt", line)
    assert reason in refused.value.reason


@pytest.mark.parametrize(
    ("files", "change", "reason"),
    [
        (FILES, {"transfer_minutes": None}, "transfer_minutes is missing"),
        (FILES, {"hopper_minutes": 60}, "hopper_minutes: the feed has transfer or join rules of its own"),
        ({}, {}, "transfer_minutes: the feed has neither"),
    ],
)
def test_a_map_that_does_not_fit(
    files: dict[str, str], change: dict[str, object], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(TariffError) as refused:
        load(tmp_path, files, card_map={**MAP, "travel": legs_travel(**change)})
    assert refused.value.file == "map.json"
    assert reason in str(refused.value)
