"""What authorities add to a concession, who goes along, and who pays: rows by the clock in London."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cardservice.services.rated import DayCharge, Reimbursement
from cardservice.services.seam import AskKind, TariffError
from cardservice.services.transport.service import Transport
from cardservice.services.transport.tariff import Tariff
from tests.cardservice.services.feeds import MAP, transport
from tests.cardservice.services.test_transport_decisions import (
    IN,
    at,
    charges,
    decided,
    month,
    pence,
    taps_of,
)
from tests.cardservice.services.travels import TRAVEL, load_travel, travel

[ENGLAND] = TRAVEL["concessions"]
CATEGORIES = {**MAP["rider_categories"], "disabled": "older"}
# Statutory from 09:30; vale adds its own route from 09:00, for disabled people a companion all day, and hill
# pays for what begins in Birch.
PAID = {"operator": "buses", "average_fare": "2.00", "factor": "0.5", "additional_cost": "0.10"}
CONCESSION: dict[str, Any] = {
    **ENGLAND,
    "categories": ["older", "disabled"],
    "authorities": {"b": "hill"},
    "additions": [
        {"starts": "09:00", "routes": ["r1"]},
        {
            "authority": "town",
            "categories": ["disabled"],
            "starts": "00:00",
            "ends": "23:59",
            "companion": True,
        },
    ],
    "reimbursement": [PAID, {**PAID, "authority": "hill", "average_fare": "3.00"}],
}
ROUTE_1, ROUTE_2 = "r1", "r2"


def _load(folder: Path, **changes: object) -> Tariff:
    concessions = [{**CONCESSION, **changes}]
    card_map = {"travel": travel(concessions=concessions), "rider_categories": CATEGORIES}
    prepared = transport().prepare(load_travel(folder, card_map=card_map).content)
    assert isinstance(prepared, Tariff)
    return prepared


@pytest.fixture(scope="module")
def tariff(tmp_path_factory: pytest.TempPathFactory) -> Tariff:
    return _load(tmp_path_factory.mktemp("travel"))


def day_of(
    tariff: Tariff, clock: str, stop: str, category: str, route: str, *, companion: bool = False
) -> DayCharge:
    """A journey from a stop to another; Monday 15 June unless the clock names a day."""
    moment = clock if " " in clock else f"2026-06-15 {clock}"
    [boarded] = taps_of(f"{moment}+{stop}", tariff, category)
    ends = boarded.occurred_at + timedelta(minutes=20)
    told: dict[str, object] = {**boarded.inputs, "route": route, **({"companion": True} if companion else {})}

    [out] = taps_of(f"{moment}-{'a1' if stop == 'b1' else 'b1'}", tariff, category)
    taps = [replace(boarded, inputs=told), replace(out, id=boarded.id, occurred_at=ends)]
    [found] = charges(taps, tariff)
    return found


# fmt: off
JOURNEYS = [
    # what, boarded, stop, category, route, with a companion, pence, who pays for how many
    ("before any of it", "08:59", "a1", "older", ROUTE_1, False, 100, {}),
    ("earlier on vale's own route", "09:00", "a1", "older", ROUTE_1, False, 0, {"vale": 1}),
    ("not on another", "09:29", "a1", "older", ROUTE_2, False, 100, {}),
    ("from half past nine on all", "09:30", "a1", "older", ROUTE_2, False, 0, {"vale": 1}),
    ("where it begins pays", "09:30", "b1", "older", ROUTE_2, False, 0, {"hill": 1}),
    ("but for what vale adds", "09:29", "b1", "older", ROUTE_1, False, 0, {"vale": 1}),
    ("the addition ends with the day", "22:59", "a1", "older", ROUTE_1, False, 0, {"vale": 1}),
    ("and not after it", "23:00", "a1", "older", ROUTE_1, False, 100, {}),
    ("disabled people all day", "06:00", "a1", "disabled", ROUTE_2, False, 0, {"town": 1}),
    ("with somebody", "06:00", "a1", "disabled", ROUTE_2, True, 0, {"town": 2}),
    ("each paid by their own", "10:00", "b1", "disabled", ROUTE_2, True, 0, {"hill": 1, "town": 1}),
    ("at a weekend's night", "2026-06-13 23:59", "a1", "disabled", ROUTE_2, True, 0, {"vale": 1, "town": 1}),
    ("nobody goes with the older", "10:00", "a1", "older", ROUTE_1, True, 0, {"vale": 1}),
    ("nobody has a companion at 23:59", "23:59", "a1", "disabled", ROUTE_1, True, 100, {}),
    ("an adult has none of it", "10:00", "a1", "adult", ROUTE_1, True, 100, {}),
]
# fmt: on


@pytest.mark.parametrize("row", JOURNEYS, ids=lambda row: str(row[0]))
def test_journey(tariff: Tariff, row: tuple[Any, ...]) -> None:
    _, clock, stop, category, route, companion, wanted, payers = row
    found = day_of(tariff, clock, stop, category, route, companion=companion)
    assert pence((found,)) == [wanted]
    assert {each.authority: each.count for each in found.free_rides} == payers


def test_whoever_goes_with_a_pass_holder_rides_on_the_concession(tariff: Tariff) -> None:
    """The holder rides by the pass, for which nobody claims; the companion has none."""
    [tap] = taps_of("2026-06-15 10:00+a1", tariff, "disabled")

    [day] = charges(
        [replace(tap, inputs={**tap.inputs, "companion": True})],
        tariff,
        (month("2026-06-01T08:00", "2026-06-30"),),
    )
    assert [(each.authority, each.count) for each in day.free_rides] == [("town", 1)]
    assert [journey["basis"] for journey in day.told] == ["pass"]
    assert day.told[0]["companion"] is True


@pytest.mark.parametrize(
    ("category", "clock", "reason"),
    [
        ("disabled", "10:00", "approved"),
        ("disabled", "00:00", "approved"),
        ("disabled", "23:58", "approved"),
        ("disabled", "23:59", "no_companion"),
        ("older", "10:00", "no_companion"),
        ("adult", "10:00", "no_companion"),
    ],
)
def test_a_companion_boards_with_whom_the_map_lets(
    tariff: Tariff, category: str, clock: str, reason: str
) -> None:
    details: dict[str, Any] = {"stop": "a1", "companion": True}
    moment = at(f"2026-06-15T{clock}")
    found = decided(tariff, IN, details, moment, category)
    assert (found.reason, found.approved) == (reason, reason == "approved")
    assert found.inputs.get("companion", False) is (reason == "approved")
    # Who has been carried has been carried: nobody is claimed for, and it is a flag.
    told = decided(tariff, IN, details, moment, category, kind=AskKind.ADVICE)
    assert (told.approved, told.flags) == (True, () if reason == "approved" else (reason,))
    assert told.inputs.get("companion", False) is (reason == "approved")
    assert decided(tariff, IN, {**details, "companion": False}, moment, category).approved


def test_each_authority_pays_what_it_has_agreed(tariff: Tariff) -> None:
    service = transport()
    assert isinstance(service, Transport)
    paid = {each: service.reimbursement(tariff, each, "buses") for each in ("vale", "hill", "town")}
    assert [None if each is None else each.of(10) for each in paid.values()] == [1100, 1600, None]
    assert isinstance(paid["vale"], Reimbursement)


def test_a_map_without_additions_is_the_version_that_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = load_travel(tmp_path / "a")
    empty = [{**ENGLAND, "additions": [], "authorities": {}}]
    assert (
        load_travel(tmp_path / "b", card_map={"travel": travel(concessions=empty)}).version == plain.version
    )
    assert plain.content["travel"]["concessions"][0].keys().isdisjoint({"additions", "authorities"})  # type: ignore[index]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"additions": [{"categories": ["young"]}]}, "additions[0].categories[0]: 'young' is none of the"),
        ({"additions": [{"routes": ["r9"]}]}, "additions[0].routes[0]: the feed has no route 'r9'"),
        ({"additions": [{"starts": "23:00"}]}, "additions[0]: does not end after it starts"),
        ({"additions": [{"companion": "yes"}]}, "additions.0.companion"),
        ({"additions": [{"from": "09:00"}]}, "additions.0.from: Unknown field"),
        ({"authorities": {"z": "hill"}}, "authorities: the feed has no area 'z'"),
        ({"reimbursement": [{**PAID, "authority": "dale"}]}, "reimbursement[0].authority: 'dale' pays for"),
        (
            {"reimbursement": [{**PAID, "authority": "hill"}] * 2},
            "reimbursement[1].operator: 'buses' is there twice",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(TariffError) as refused:
        _load(tmp_path, **changes)
    assert reason.replace(".0.", "[0].") in str(refused.value)
    assert (refused.value.file, refused.value.line is not None) == ("map.json", True)


def test_a_stop_of_two_authorities_is_refused(tmp_path: Path) -> None:
    feed = {"stop_areas.txt": "area_id,stop_id\na,a1\nb,a1\na,a2\nb,b1\nc,c1\nb,station\nc,platform-own\n"}
    concessions = [{**ENGLAND, "authorities": {"a": "vale", "b": "hill"}}]
    with pytest.raises(TariffError, match="stop 'a1' is in areas of two authorities"):
        load_travel(tmp_path, feed=feed, card_map={"travel": travel(concessions=concessions)})
