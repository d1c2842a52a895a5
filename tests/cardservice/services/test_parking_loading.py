"""Tariff files and digital orders: what is taken, and each fault refused by file, place and reason."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardservice.services.parking.conditions import prepare_condition
from cardservice.services.parking.orders import read_order
from cardservice.services.parking.tariff import Tariff, prepare, prepare_place
from cardservice.services.seam import TariffError
from tests.cardservice.services.parking_tariffs import (
    EAST_REACH,
    LINES,
    TARIFF,
    load,
    max_stay,
    parking,
    rates_4,
    rates_35,
)

SHARED = Path(__file__).parents[4] / "shared" / "data" / "parking"


def place(number: int, **changes: Any) -> Callable[[dict[str, Any]], object]:
    """A place with something changed."""
    return lambda tariff: tariff["places"][number].update(changes)


def band(**changes: Any) -> Callable[[dict[str, Any]], object]:
    """High Street's first hours with something changed."""
    return lambda tariff: tariff["places"][0]["bands"][0].update(changes)


def tier(first: int, last: int, price: str) -> dict[str, Any]:
    return {"from_minutes": first, "to_minutes": last, "price": price}


def test_the_same_content_is_the_same_version(tmp_path: Path) -> None:
    """In the shape of 3.5, too."""
    loaded = load(tmp_path)
    assert load(tmp_path, rates=rates_35()).version == loaded.version
    prepared = prepare(json.loads(json.dumps(loaded.content)))
    assert isinstance(prepared, Tariff)
    assert (len(prepared.places), prepared.version) == (6, loaded.version)
    text = " ".join(loaded.report)
    assert "'Pay and display, daily 9 am to 8 pm'" in text
    assert "saturday 07:00 to 18:00" in text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (band(to="08:00"), r"places\[0\] \(high-street\): bands\[0\]: to: is not after from"),
        (band(tiers=[tier(0, 30, "1.00"), tier(20, 60, "2.00")]), r"tiers\[1\]: overlaps with tiers\[0\]"),
        (
            band(tiers=[tier(0, 30, "1.00"), tier(31, 60, "2.00")]),
            r"tiers\[1\]: leaves a gap after tiers\[0\]",
        ),
        (band(tiers=[tier(1, 30, "1.00")]), r"tiers\[0\]: leaves a gap after 0 minutes"),
        (band(tiers=[tier(0, 30, "2.00"), tier(30, 60, "1.00")]), r"tiers\[1\]: price: is cheaper"),
        (band(tiers=[tier(0, 30, "1.005")]), "more than the 2 decimal places"),
        (band(tiers=[tier(0, 30, "-1.00")]), "out of range"),
        (band(each={"minutes": 30, "price": "1.00"}), "has either tiers or each"),
        (band(days=["sunday"], **{"from": "15:59"}), r"bands\[0\] and bands\[1\] overlap on sunday"),
        (band(days=["moonday"]), "is none of monday"),
        (place(0, max_stay_minutes=None), "no_return_minutes: means nothing without"),
        (place(0, permits=["zone-q"]), "there is no permit 'zone-q'"),
        (place(0, pay_on_exit=True), "nobody leaves a street by a barrier"),
        (place(0, order={"file": "rates.json", "provision": EAST_REACH}), r"bands\) or names an order"),
        (place(0, key="green"), r"places\[2\] \(green\): key: the same as of places\[0\]"),
        (place(0, spaces=5), r"places\[0\]\.spaces|spaces: Unknown field"),
        (place(4, free_minutes=10), "free_minutes: is the order's to say"),
        (place(4, order={"file": "gone.json", "provision": EAST_REACH}), "no file 'gone.json' was given"),
        (place(4, order={"file": "rates.json", "provision": "x"}), "has no provision 'x'"),
        (lambda tariff: tariff["places"].pop(4), "no place of parking.json names this order"),
        (lambda tariff: tariff.update(timezone="Europe/Londres"), "there is no time zone"),
        (lambda tariff: tariff.update(currency="EUR"), "the scheme's is GBP"),
        (lambda tariff: tariff.update(last_day="2025-01-01"), "last_day: is before first_day"),
        (lambda tariff: tariff["calendar"].update(until="2025-01-01"), "calendar.until: is before first_day"),
        (lambda tariff: tariff["permits"][0].update(prices=["9.00", "8.00"]), "a further permit is cheaper"),
        (lambda tariff: tariff["permits"][0].update(vehicles=6), r"json:\d+: permits\[0\]\.vehicles"),
        (
            lambda tariff: tariff["visits"][0].update(price="1.205"),
            r"json:\d+: visits\[0\] \(zone-a-visit\): price",
        ),
        (
            lambda tariff: tariff["visits"][0].update(sessions_a_year=0),
            r"json:\d+: visits\[0\]\.sessions_a_year",
        ),
        (
            lambda tariff: tariff["visits"].append(tariff["visits"][0]),
            r"visits\[1\] .*: the same as of visits\[0\]",
        ),
        (place(0, visits=["zone-q"]), r"json:\d+: .*there is no visit 'zone-q'"),
        (place(0, blue_badge="free"), r"json:\d+: .*on a street it is always free"),
        (place(1, blue_badge=None), "Field may not be null|off street it must"),
        (lambda tariff: tariff["places"][1].pop("blue_badge"), r"json:\d+: places\[1\] .*off street it must"),
        (lambda tariff: tariff.pop("blue_badge"), "the tariff names no category"),
    ],
)
def test_a_tariff_is_refused_as_a_whole(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    with pytest.raises(TariffError, match=reason):
        load(tmp_path, change)


def lines_of(order: dict[str, Any]) -> Any:
    """The one collection of an order's rate table."""
    [table] = [each["rateTable"] for each in conditions(order) if "rateTable" in each]
    return table["rateLineCollection"][0]


def line(number: int, **changes: Any) -> Callable[[dict[str, Any]], object]:
    """A rate line with something changed."""
    return lambda order: lines_of(order)["rateLine"][number].update(changes)


def collection(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda order: lines_of(order).update(changes)


def regulation(order: dict[str, Any]) -> Any:
    """The regulation of an order."""
    return order["data"]["source"]["provision"][0]["regulation"]


def conditions(order: dict[str, Any]) -> Any:
    return regulation(order)["conditionSet"]["conditions"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            line(0, durationEnd="01:59:59"),
            r"rateLine 1 \(00:01:00 to 01:59:59\) and rateLine 2 \(01:00:00 to 01:59:59\) overlap",
        ),
        (line(1, durationEnd="02:00:00"), "rateLine 2 .* and rateLine 3 .* overlap"),
        (line(1, durationEnd="01:59:58"), "between rateLine 2 .* and rateLine 3 .* there is a gap"),
        (line(6, durationEnd="10:59:58"), "a gap between rateLine 7 .* and maxTime"),
        (collection(minTime="PT30S"), "minTime, maxTime"),
        (collection(maxTime="PT12H"), "a gap between rateLine 7"),
        (line(2, value=4.1), "rateLine 3 .* is cheaper than rateLine 2"),
        (line(2, value=4.205), "rateLine 3: '4.205' has more than the 2"),
        (line(2, value="5"), "rateLine 3: '5' is no amount"),
        (line(6, value=17.5), "rateLine 7 .*: its value is out of the range of maxValueCollection"),
        (collection(minValueCollection=3.3), "rateLine 1 .*: its value is out of the range of minValue"),
        (line(2, type="incrementingRate"), "rateLine 3: type 'incrementingRate' is not read"),
        (line(2, usageCondition="unlimited"), "rateLine 3: usageCondition 'unlimited' is not read"),
        (line(2, maxValue=9), "rateLine 3: maxValue is not read, and could change the price"),
        (collection(applicableCurrency="EUR"), "applicableCurrency: is EUR"),
        (collection(resetTime="19:00:00"), "resetTime is not where the hours of charge end"),
        (lambda order: order.update(schemaVersion="3.4.1"), "'3.4.1' is neither 3.5 nor 4.0"),
        (lambda order: order["data"].pop("source"), "does not have the shape of an order"),
        (lambda order: regulation(order).update(timeZone="Europe/Paris"), "timeZone: is Europe/Paris"),
        (lambda order: regulation(order)["conditionSet"].update(operator="nand"), "'nand' is none of and"),
        (lambda order: regulation(order)["conditionSet"].update(operator="or"), "timeValidity: is one of"),
        (lambda order: conditions(order)[1].update(negate=True), "timeValidity: is one of .* or negated"),
        (lambda order: conditions(order)[1].update(permitCondition={}), "permitCondition: is not read"),
        (lambda order: conditions(order).pop(), "timeValidity: there are 0"),
    ],
)
def test_an_order_is_refused_by_what_is_wrong_in_it(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    order = copy.deepcopy(rates_4())
    change(order)
    with pytest.raises(TariffError, match=reason) as refused:
        load(tmp_path, rates=order)
    assert refused.value.file == "rates.json"
    assert refused.value.line is not None


def test_an_order_is_refused_with_the_lines_that_clash(tmp_path: Path) -> None:
    """As people write it, one thing a line: the line of what is at fault, and of what it clashes with."""
    for change, at, also in (
        (line(0, durationEnd="01:59:59"), '"sequence": 2,', '"sequence": 1,'),
        (line(2, maxValue=9), '"maxValue"', None),
        (line(2, type="incrementingRate"), '"incrementingRate"', None),
        (line(6, value=17.5), "17.5", None),
        (lambda order: regulation(order).update(timeZone="Europe/Paris"), '"Europe/Paris"', None),
        (lambda order: conditions(order)[1].update(permitCondition={}), '"permitCondition"', None),
        (lambda order: order.update(schemaVersion="3.4.1"), '"3.4.1"', None),
    ):
        order = copy.deepcopy(rates_4())
        change(order)
        path = tmp_path / "rates.json"
        path.write_text(json.dumps(order, indent=1), encoding="utf-8")
        written = path.read_text(encoding="utf-8").splitlines()
        with pytest.raises(TariffError) as refused:
            read_order(path, "GBP", "Europe/London")
        assert refused.value.line is not None
        # An object begins on the line of its bracket, before its first field.
        assert any(at in text for text in written[refused.value.line - 1 : refused.value.line + 1])
        if also is not None:
            clashes = re.search(r"the first is in line (\d+)", refused.value.reason)
            assert clashes is not None
            assert also in written[int(clashes[1])]


def prices(content: Any) -> list[tuple[int, int | None]]:
    """What each end of a line costs, and the second before and after it."""
    [only] = prepare_place(
        {
            **content,
            "key": "x",
            "label": "x",
            "on_street": True,
            "pay_on_exit": False,
            "closed_outside": False,
            "discounts": {},
            "permits": [],
            "carries_unused": False,
        }
    ).bands
    hours = (1, 2, 3, 4, 5, 8, 11)
    return [
        (at_s, only.price(at_s)) for hour in hours for at_s in (hour * 3600 - 1, hour * 3600, hour * 3600 + 1)
    ]


def expected() -> list[tuple[int, int | None]]:
    """By hand: the line that begins at the hour counts from it on; maxTime itself is the last line's."""
    costs = [320, 420, 500, 550, 650, 1100, 1700, None]
    hours = (1, 2, 3, 4, 5, 8, 11)
    found: list[tuple[int, int | None]] = []
    for row, hour in enumerate(hours):
        before, after = costs[row], costs[row + 1]
        exact = after if hour < 11 else before
        found += [(hour * 3600 - 1, before), (hour * 3600, exact), (hour * 3600 + 1, after)]
    return found


@pytest.mark.parametrize("order", [rates_4(), rates_35()], ids=["4.0", "3.5"])
def test_every_boundary_of_the_lines(tmp_path: Path, order: dict[str, Any]) -> None:
    path = tmp_path / "rates.json"
    path.write_text(json.dumps(order), encoding="utf-8")
    assert len(LINES) == 7
    assert prices(read_order(path, "GBP", "Europe/London")[EAST_REACH].content) == expected()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published orders are not on this machine")
def test_the_published_orders(tmp_path: Path) -> None:
    """The one with rates overlaps as it is; put right where its lines say what was meant, it is priced."""
    name = "dtro-4.0.0-rates.json"
    with pytest.raises(TariffError, match=r"rateLine 1 .* and rateLine 2 .* overlap"):
        read_order(SHARED / name, "GBP", "Europe/London")
    text = (SHARED / name).read_text(encoding="utf-8")
    corrected = tmp_path / name
    corrected.write_text(text.replace('"01:59:59"', '"00:59:59"', 1), encoding="utf-8")
    assert prices(read_order(corrected, "GBP", "Europe/London")[EAST_REACH].content) == expected()
    [stay] = read_order(SHARED / "dtro-4.0.0-max-stay-no-return.json", "GBP", "Europe/London").values()
    assert (stay.content["max_stay_minutes"], stay.content["no_return_minutes"]) == (20, None)


def test_longest_stay_and_no_return_of_an_order(tmp_path: Path) -> None:
    order = max_stay(maximumOccupancy="PT1H", minimumPeriodForReturn="PT2H30M")
    path = tmp_path / "stay.json"
    path.write_text(json.dumps(order), encoding="utf-8")
    [found] = read_order(path, "GBP", "Europe/London").values()
    assert (found.content["max_stay_minutes"], found.content["no_return_minutes"]) == (60, 150)
    path.write_text(json.dumps(max_stay(minimumPeriodForReturn="PT1H")), encoding="utf-8")
    with pytest.raises(TariffError, match="without maximumOccupancy"):
        read_order(path, "GBP", "Europe/London")


def _is(kind: str, *, negate: bool = False) -> dict[str, Any]:
    return {"operator": "is", "negate": negate, "vehicle": kind, "parts": []}


def _of(operator: str, *parts: dict[str, Any], negate: bool = False) -> dict[str, Any]:
    return {"operator": operator, "negate": negate, "vehicle": None, "parts": list(parts)}


@pytest.mark.parametrize(
    ("tree", "car", "bus"),
    [
        (_of("and", _is("car"), _is("bus")), False, False),
        (_of("or", _is("car"), _is("bus")), True, True),
        (_of("xor", _is("car"), _is("bus", negate=True)), False, False),
        (_of("xor", _is("car"), _is("lorry")), True, False),
        (_of("or", _is("car"), negate=True), False, True),
        (_of("and", _is("car", negate=True), _is("lorry", negate=True)), False, True),
    ],
)
def test_conditions(tree: dict[str, Any], car: bool, bus: bool) -> None:
    condition = prepare_condition(tree)
    assert (condition.holds("car"), condition.holds("bus")) == (car, bus)


def test_a_refusal_names_the_line(tmp_path: Path) -> None:
    """Of the place that is at fault, also where it is a check of ours and not of the schema's."""
    tariff = copy.deepcopy(TARIFF)
    tariff["places"][0]["bands"][0]["tiers"][1]["price"] = "0.10"
    tariff["places"] = tariff["places"][:1]
    path = tmp_path / "parking.json"
    path.write_text(json.dumps(tariff, indent=1), encoding="utf-8")
    with pytest.raises(TariffError, match=r"tiers\[1\]: price: is cheaper") as refused:
        parking().load([path], currency="GBP")
    line = refused.value.line
    assert line is not None
    assert '"price": "0.10"' in "".join(path.read_text().splitlines()[line - 1 : line + 3])
