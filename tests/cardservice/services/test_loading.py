"""What a feed may look like and still mean the same, and what the person who loads it is told."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cardservice.services.seam import Ask, AskKind, LoadedTariff, Quote, TariffError
from tests.cardservice.services.feeds import (
    DEMO_DATA,
    FEED,
    MAP,
    ZAKROCZYM,
    changed,
    load,
    transport,
    write_map,
    write_zip,
)

SUMMER = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def fare(loaded: LoadedTariff, start: str, end: str, at: datetime = SUMMER) -> int:
    """What somebody whom nothing is known of pays."""
    quote = transport().quote(
        Ask(
            service="transport",
            action="single-fare",
            kind=AskKind.REQUEST,
            currency=str(loaded.content["currency"]),
            details={"from_stop": start, "to_stop": end},
            occurred_at=at,
        ),
        None,
        transport().prepare(loaded.content),
    )
    assert isinstance(quote, Quote), quote
    return quote.amount_minor


def test_a_zip_and_a_folder_are_the_same_tariff(tmp_path: Path) -> None:
    folder = load(tmp_path)
    path = write_zip(tmp_path / "feed.zip", changed({}))
    zipped = transport().load([path, write_map(tmp_path / "map.json")], currency="GBP")
    assert (zipped.version, zipped.content) == (folder.version, folder.content)


SAME = {
    "a byte order mark": {name: b"\xef\xbb\xbf" + content.encode() for name, content in FEED.items()},
    "line ends of Windows": {name: content.replace("\n", "\r\n").encode() for name, content in FEED.items()},
    "no last line end": {name: content.rstrip("\n").encode() for name, content in FEED.items()},
    "spaces around values": {name: content.replace(",", " , ").encode() for name, content in FEED.items()},
    "quotes around values": {"areas.txt": b'"area_id","area_name"\n"a","Alder"\n"b","Birch"\n"c","Cedar"\n'},
    "other columns": {"areas.txt": b"area_name,colour,area_id\nAlder,green,a\nBirch,,b\nCedar,red,c\n"},
    "other rows' order": {"areas.txt": b"area_id,area_name\nc,Cedar\nb,Birch\na,Alder\n"},
    "an empty line at the end": {"areas.txt": FEED["areas.txt"].encode() + b"\n"},
    "files that are not used": {"shapes.txt": b"\xff\xfe what ever", "notes.pdf": b"%PDF"},
}


@pytest.mark.parametrize("name", SAME)
def test_what_does_not_change_the_version(name: str, tmp_path: Path) -> None:
    assert load(tmp_path / "one", SAME[name]).version == load(tmp_path / "other").version


OTHER = {
    "a price": {"fare_products.txt": FEED["fare_products.txt"].replace("1.00", "1.01")},
    "a name": {"areas.txt": FEED["areas.txt"].replace("Birch", "Beech")},
    "a day": {"feed_info.txt": FEED["feed_info.txt"].replace("1231", "1230")},
    "a column of priorities": {
        "fare_leg_rules.txt": FEED["fare_leg_rules.txt"]
        .replace("\n", ",\n")
        .replace("fare_product_id,", "fare_product_id,rule_priority")
    },
}


@pytest.mark.parametrize("name", OTHER)
def test_what_changes_the_version(name: str, tmp_path: Path) -> None:
    assert load(tmp_path / "one", OTHER[name]).version != load(tmp_path / "other").version


def test_the_map_is_part_of_the_version(tmp_path: Path) -> None:
    versions = {
        load(tmp_path / "same").version,
        load(tmp_path / "hours", card_map={"offline_quote_hours": 25}).version,
        load(
            tmp_path / "people",
            card_map={"rider_categories": {**MAP["rider_categories"], "visitor": "adult"}},
        ).version,
    }
    assert len(versions) == 3


def test_a_version_is_the_first_day_and_a_hash(tmp_path: Path) -> None:
    """Written down, so that a change of how it is computed is seen: stored statements name versions."""
    loaded = load(tmp_path)
    assert re.fullmatch(r"20260101-[0-9a-f]{24}", loaded.version)
    assert loaded.version == "20260101-6319c60ba29fc17828a0fd8a"


def test_a_content_survives_the_database(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert transport().prepare(json.loads(json.dumps(loaded.content))) == transport().prepare(loaded.content)


def test_names_may_hold_quoted_line_breaks(tmp_path: Path) -> None:
    loaded = load(tmp_path, {"areas.txt": 'area_id,area_name\na,"Al\nder"\nb,"Bir""ch"\nc,C\n'})
    assert loaded.content["areas"] == {"a": "Al\nder", "b": 'Bir"ch', "c": "C"}


def test_no_areas_at_all_is_a_flat_fare(tmp_path: Path) -> None:
    flat = {"areas.txt": None, "stop_areas.txt": None, "fare_leg_rules.txt": "fare_product_id\nshort\n"}
    assert fare(load(tmp_path, flat), "a1", "c1") == 100


def test_a_feed_without_media_and_categories(tmp_path: Path) -> None:
    plain = {
        "rider_categories.txt": None,
        "fare_media.txt": None,
        "fare_products.txt": "fare_product_id,amount,currency\nshort,1,GBP\n",
        "fare_leg_rules.txt": "fare_product_id\nshort\n",
    }
    loaded = load(tmp_path, plain, card_map={"fare_medium": None, "rider_categories": {"adult": None}})
    assert fare(loaded, "a1", "c1") == 100


def test_a_currency_without_decimal_places(tmp_path: Path) -> None:
    products = "fare_product_id,fare_media_id,amount,currency\nshort,card,210,JPY\n"
    rules = {"fare_products.txt": products, "fare_leg_rules.txt": "fare_product_id\nshort\n"}
    assert fare(load(tmp_path, rules, currency="JPY"), "a1", "c1") == 210


def test_dates_come_from_the_calendars_where_the_feed_gives_none(tmp_path: Path) -> None:
    calendars = {
        "feed_info.txt": None,
        "calendar.txt": "service_id,start_date,end_date\nw,20260202,20260630\n",
        "calendar_dates.txt": "service_id,date,exception_type\nw,20260101,2\nw,20260701,1\n",
    }
    content = load(tmp_path, calendars).content
    # British Summer Time: the end of 1 July is 23:00 UTC. A day that is taken away does not begin anything.
    assert content["valid_from"] == "2026-02-02T00:00:00+00:00"
    assert content["valid_until"] == "2026-07-01T23:00:00+00:00"


def test_the_report_says_what_counts_what_does_not_and_what_looks_odd(tmp_path: Path) -> None:
    files = {"fare_rules.txt": "x", "trips.txt": "x", "evil\x1b[2J.txt": "x"}
    products = FEED["fare_products.txt"] + "month,Month,,cash,50.00,GBP\n"
    loaded = load(tmp_path, files | {"fare_products.txt": products}, card_map={"default_category": "young"})
    expected = """9 stops in 3 areas, 5 leg rules, 3 single fares in GBP; \
valid from 2026-01-01 to 2026-12-31 (Europe/London)
who is in no category listed pays as young: Young
the feed itself calls rider category adult the default
products without a leg rule, not sold as single fares: month
products of leg rules that the card cannot pay: cash-only
13 of 16 kinds of ride have no fare and will be refused
'evil\\x1b[2J.txt': passed over: a single fare does not depend on it
fare_rules.txt: passed over: fares are read from the newer fare_products.txt and fare_leg_rules.txt
trips.txt: passed over: a single fare does not depend on it"""
    assert "\n".join(loaded.report) == expected


def test_a_folder_inside_a_folder_is_passed_over_by_name(tmp_path: Path) -> None:
    (tmp_path / "feed" / "old").mkdir(parents=True)
    assert "old/: passed over: a single fare does not depend on it" in load(tmp_path).report


class TestZakroczym:
    """The public feed of a small town in Poland: `../shared/data/README.md` says where it is from."""

    @pytest.fixture
    def loaded(self, tmp_path: Path) -> LoadedTariff:
        if not ZAKROCZYM.exists():
            pytest.skip(f"{ZAKROCZYM} is not there")
        categories = {"adult": "0", "young": "2", "older": "3"}
        card_map = write_map(
            tmp_path / "map.json", fare_medium="0", rider_categories=categories, default_category="adult"
        )
        return transport().load([ZAKROCZYM, card_map], currency="PLN")

    @pytest.mark.parametrize(
        ("start", "end", "amount_minor"),
        [
            ("100", "117", 400),  # Zakroczym to Modlin-Twierdza
            ("117", "100", 400),
            ("100", "120", 500),  # Zakroczym to Nowy Dwór Mazowiecki
            ("120", "100", 500),
            ("117", "120", 400),  # Modlin-Twierdza to Nowy Dwór Mazowiecki
            ("100", "112", 0),  # within Zakroczym
            ("117", "119-2", 0),
            ("120", "121", 0),
        ],
    )
    def test_its_fares(self, start: str, end: str, amount_minor: int, loaded: LoadedTariff) -> None:
        assert fare(loaded, start, end) == amount_minor

    def test_its_names_and_dates(self, loaded: LoadedTariff) -> None:
        content = loaded.content
        assert content["areas"] == {"1": "Zakroczym", "2": "Modlin-Twierdza", "3": "Nowy Dwór Mazowiecki"}
        assert loaded.valid_from == datetime(2025, 11, 10, 23, 0, tzinfo=UTC)
        assert content["valid_until"] == "2026-12-31T23:00:00+00:00"

    def test_its_report(self, loaded: LoadedTariff) -> None:
        assert "products without a leg rule, not sold as single fares: monthly_discount, monthly_normal" in (
            loaded.report
        )
        passed_over = [line.split(":")[0] for line in loaded.report if "passed over" in line]
        assert passed_over == [
            *("attributions.txt", "calendar.txt", "calendar_dates.txt", "shapes.txt"),
            *("stop_times.txt", "trips.txt"),
        ]

    def test_in_a_scheme_of_another_currency_it_is_refused(self, tmp_path: Path) -> None:
        if not ZAKROCZYM.exists():
            pytest.skip(f"{ZAKROCZYM} is not there")
        with pytest.raises(TariffError) as refused:
            transport().load([ZAKROCZYM, write_map(tmp_path / "map.json")], currency="GBP")
        assert (refused.value.file, refused.value.line) == ("fare_products.txt", 2)


class TestDemonstration:
    """The feed that `make demo` loads."""

    def test_its_fares(self) -> None:
        loaded = transport().load([DEMO_DATA / "feed", DEMO_DATA / "map.json"], currency="GBP")
        trip = json.loads((DEMO_DATA / "trip.json").read_text(encoding="utf-8"))
        assert fare(loaded, trip["from_stop"], trip["to_stop"]) == 240
        assert fare(loaded, "library", "hospital") == 180
        assert fare(loaded, "bus-station-a", "saltmere-quay") == 300
        assert (
            fare(loaded, "saltmere-beach", "saltmere-quay", datetime(2099, 12, 31, 23, 59, tzinfo=UTC)) == 180
        )
        assert not [line for line in loaded.report if "no fare" in line]
