"""A second opinion on what a feed holds: gtfs-kit, which shares no code with us, counts the same.

It reads none of the files of Fares v2; what it does read is what places, routes and days come from.
"""

from pathlib import Path
from typing import Any

import pytest

from cardservice.services.transport.feed import Feed, read_feed
from tests.benchmarks.transport import generate
from tests.cardservice.services.feeds import DEMO_DATA, ZAKROCZYM


def counted(path: Path) -> dict[str, Any]:
    """What gtfs-kit finds."""
    # Here, since it brings pandas and geopandas, which take seconds that no other test should wait for.
    import gtfs_kit  # noqa: PLC0415 - see above

    feed: Any = gtfs_kit.read_feed(str(path), dist_units="km")
    stops = feed.stops.set_index("stop_id")
    parents = stops["parent_station"].dropna() if "parent_station" in stops else ()
    return {
        # We drop the spaces around a value, it does not.
        "stops": {stop: str(name).strip() for stop, name in stops["stop_name"].items()},
        "parents": {stop: str(parent) for stop, parent in dict(parents).items()},
        "routes": set() if feed.routes is None else set(feed.routes["route_id"]),
        "zone": {str(zone) for zone in feed.agency["agency_timezone"]},
        "days": (str(feed.feed_info.feed_start_date[0]), str(feed.feed_info.feed_end_date[0])),
    }


def ours(feed: Feed) -> dict[str, Any]:
    """The same of what was read by our own program."""
    return {
        "stops": {stop: place.name for stop, place in feed.places.stops.items()},
        "parents": dict(feed.places.parents),
        "routes": set(feed.places.routes),
        "zone": {feed.zone.key},
        "days": tuple(f"{day:%Y%m%d}" for day in (feed.first_day, feed.last_day)),
    }


def test_the_public_feed() -> None:
    if not ZAKROCZYM.exists():
        pytest.skip(f"{ZAKROCZYM} is not there")
    second = counted(ZAKROCZYM)
    assert ours(read_feed(ZAKROCZYM, "PLN")) == second
    assert [len(second[what]) for what in ("stops", "parents", "routes")] == [62, 0, 3]


@pytest.mark.parametrize("name", ["generated", "demonstration"])
def test_our_own_feeds(name: str, tmp_path: Path) -> None:
    path = DEMO_DATA / "feed"
    if name == "generated":
        path = tmp_path / "feed.zip"
        generate(path, stops=500, stop_times=2_000, areas=10)
    assert ours(read_feed(path, "GBP")) == counted(path)
