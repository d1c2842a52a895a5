"""Transport's rules alone, as calls: decisions, and journeys of several legs; and loading a city's feed.

The feed is generated: 5,000 stops in 60 areas, a fare between each two of them, and 500,000 stop times, which
a fare does not depend on and which are therefore not read. It is loaded in a process of its own.
"""

import json
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from uuid import UUID

from cardservice.services.seam import Ask, AskKind, Holder, Quote
from cardservice.services.transport import SERVICE
from cardservice.services.transport.legs import RiddenLeg, price_legs
from cardservice.services.transport.tariff import Tariff
from tests.benchmarks.memory import peak_mib
from tests.benchmarks.report import ROOT, Measurement
from tests.benchmarks.server import SLICES, BenchmarkFailed
from tests.benchmarks.turns import Action, on_one_core

FEED = "transport_feed"
STOPS, STOP_TIMES, AREAS = 5_000, 500_000, 60

_ASKS = 1_000
_NOON = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
_AT_ONCE = 20
_HOLDER = Holder(cardholder_id=UUID(int=1), card_kind="citizen", category="adult")
_MAP = {"fare_medium": None, "rider_categories": {"adult": None}, "default_category": "adult"}
_TRAVEL = {
    "day_starts": "04:30",
    "incomplete": "5.00",
    "longest_minutes": 180,
    "passback_minutes": 5,
    "transfer_minutes": 60,
}


class Payer:
    """A payer with nothing at all: no fare depends on it."""

    version = 1
    accounts = ()
    counters = ()
    limits = ()


def generate(path: Path, stops: int, stop_times: int, areas: int) -> None:
    """A feed of that size, as a zip, and its map beside it."""
    drawn = random.Random(1)  # noqa: S311 -- the same each time
    pairs = [(a, b) for a in range(areas) for b in range(areas)]
    files = {
        "agency.txt": "agency_name,agency_timezone\nBench,Europe/London\n",
        "feed_info.txt": "feed_start_date,feed_end_date\n20260101,20261231\n",
        "areas.txt": "area_id\n" + "".join(f"a{number}\n" for number in range(areas)),
        "stops.txt": "stop_id,stop_name,stop_lat,stop_lon\n"
        + "".join(f"s{number},Stop {number},52.1,-1.2\n" for number in range(stops)),
        "stop_areas.txt": "area_id,stop_id\n"
        + "".join(f"a{number % areas},s{number}\n" for number in range(stops)),
        "fare_products.txt": "fare_product_id,amount,currency\n"
        + "".join(f"p{number},{1 + number / 10:.2f},GBP\n" for number in range(areas)),
        "fare_leg_rules.txt": "leg_group_id,from_area_id,to_area_id,fare_product_id\n"
        + "".join(f"all,a{a},a{b},p{abs(a - b)}\n" for a, b in pairs),
        "fare_transfer_rules.txt": "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,"
        "duration_limit_type,fare_transfer_type,fare_product_id\nall,all,2,5400,1,0,p0\n",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        with archive.open("stop_times.txt", "w") as out:
            out.write(b"trip_id,arrival_time,departure_time,stop_id,stop_sequence\n")
            for number in range(stop_times):
                clock = f"{5 + number % 18:02d}:{number % 60:02d}:00"
                stop = drawn.randrange(stops)
                out.write(f"t{number // 25},{clock},{clock},s{stop},{number % 25}\n".encode())
    path.with_suffix(".json").write_text(json.dumps({**_MAP, "travel": _TRAVEL}), encoding="utf-8")


def _prepared(folder: Path) -> Tariff:
    feed = folder / "feed.zip"
    generate(feed, stops=500, stop_times=0, areas=20)
    content = SERVICE.load([feed, feed.with_suffix(".json")], currency="GBP").content
    tariff = SERVICE.prepare(content)
    if not isinstance(tariff, Tariff):
        raise BenchmarkFailed("the feed was not prepared")
    return tariff


def _decide(tariff: Tariff) -> Action:
    """A single fare that was quoted, and is decided as it was signed."""
    drawn = random.Random(2)  # noqa: S311 -- the same each time
    asks = []
    for _ in range(_ASKS):
        start, end = drawn.sample(sorted(tariff.places), 2)
        ask = Ask(
            service="transport",
            action="single-fare",
            kind=AskKind.REQUEST,
            currency="GBP",
            details={"from_stop": start, "to_stop": end},
            occurred_at=_NOON,
        )
        quote = SERVICE.quote(ask, _HOLDER, tariff)
        if not isinstance(quote, Quote):
            raise BenchmarkFailed(f"no fare: {quote.message}")
        asks.append(replace(ask, amount_minor=quote.amount_minor))
    turns = cycle(asks)

    def action() -> None:
        if not SERVICE.decide(next(turns), _HOLDER, Payer(), tariff).approved:
            raise BenchmarkFailed("a fare as quoted was refused")

    return action


def _journey(tariff: Tariff) -> Action:
    """Three legs, two changes."""
    drawn = random.Random(3)  # noqa: S311 -- the same each time
    stops, minute = sorted(tariff.places), timedelta(minutes=1)
    journeys = []
    for _ in range(_ASKS):
        path = drawn.sample(stops, 4)
        journeys.append(
            [
                RiddenLeg(path[n], path[n + 1], None, _NOON + 20 * n * minute, _NOON + (20 * n + 15) * minute)
                for n in range(3)
            ]
        )
    turns = cycle(journeys)

    def action() -> None:
        if [leg.changed for leg in price_legs(tariff, next(turns), "adult")] != [False, True, True]:
            raise BenchmarkFailed("a journey was not changed on as the feed says")

    return action


MEASURED: Mapping[str, tuple[str, str, Callable[[Tariff], Action]]] = {
    "transport_decisions": (
        "decisions/s",
        "a single fare as quoted, decided by the rules as a call",
        _decide,
    ),
    "transport_journeys": (
        "journeys/s",
        "a journey of three legs priced with its changes, by the rules as a call",
        _journey,
    ),
}


def measure(key: str, seconds: float, say: Callable[[str], None]) -> Measurement:
    """How often a second on one core: the median of the slices."""
    unit, what, make = MEASURED[key]
    with TemporaryDirectory(prefix="citizen-card-bench-") as folder, on_one_core():
        action = make(_prepared(Path(folder)))
        action()
        slices = [_rate(action, seconds / SLICES) for _ in range(SLICES)]
    say(f"{key}: {median(slices):,.0f} {unit}")
    return Measurement(
        key=key,
        what=what,
        value=median(slices),
        unit=unit,
        detail={f"slices, {unit}": [round(each) for each in slices]},
    )


def _rate(action: Action, seconds: float) -> float:
    done, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds or not done:
        for _ in range(_AT_ONCE):
            action()
        done += _AT_ONCE
    return done / passed


def measure_feed(
    say: Callable[[str], None], *, stops: int = STOPS, stop_times: int = STOP_TIMES, areas: int = AREAS
) -> Measurement:
    """How long a feed takes from the file to the tariff that is stored, and how much memory."""
    say(f"{FEED}: writing {stops:,} stops and {stop_times:,} stop times")
    with TemporaryDirectory(prefix="citizen-card-bench-", dir=ROOT) as folder:
        feed = Path(folder) / "feed.zip"
        generate(feed, stops, stop_times, areas)
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(feed)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    if done.returncode != 0:
        raise BenchmarkFailed(done.stderr)
    found = json.loads(done.stdout)
    if (found["stops"], found["rules"]) != (stops, areas**2):
        raise BenchmarkFailed(f"the tariff has {found['stops']} stops and {found['rules']} rules")
    say(f"{FEED}: {found['seconds']:.2f} s, {found['peak_mib']:.0f} MiB at most")
    return Measurement(
        key=FEED,
        what=f"a feed of {stops:,} stops, {areas**2:,} leg rules and {stop_times:,} stop times (passed over)"
        " loaded: read, checked, every kind of ride looked at for two prices, compiled",
        value=found["seconds"],
        unit="s",
        detail={
            "of which the processor's, s": round(found["processor_s"], 2),
            "peak memory of the whole process, MiB": round(found["peak_mib"]),
            "of which before the feed was read": round(found["before_mib"]),
        },
    )


def _load(feed: Path) -> dict[str, float]:
    before, begun, worked = peak_mib(), time.perf_counter(), time.process_time()
    content = SERVICE.load([feed, feed.with_suffix(".json")], currency="GBP").content
    seconds, peak = time.perf_counter() - begun, peak_mib()
    tariff = SERVICE.prepare(content)
    if not isinstance(tariff, Tariff):
        raise BenchmarkFailed("the feed was not prepared")
    return {
        "seconds": seconds,
        "processor_s": time.process_time() - worked,
        "before_mib": before,
        "peak_mib": peak,
        "stops": len(tariff.places),
        "rules": len(tariff.rules),
    }


if __name__ == "__main__":
    print(json.dumps(_load(Path(sys.argv[1]))))
