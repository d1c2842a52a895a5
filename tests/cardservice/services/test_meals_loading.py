"""A menu is loaded as it is meant, or refused with the place that is at fault."""

import copy
import json
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardservice.allergens import ALLERGENS
from cardservice.services.seam import TariffError
from tests.cardservice.services.menus import MENU, Change, load, meals, written

DEMO_MENU = Path(__file__).parents[3] / "kiosk" / "demo_data" / "menu.json"


def of_menu(**changes: object) -> Change:
    """Some of the menu's fields are changed."""
    return lambda menu: menu.update(changes)


def of_item(number: int, **changes: object) -> Change:
    """Some of an item's fields are changed."""
    return lambda menu: menu["items"][number].update(changes)


def without(field: str, number: int | None = None) -> Change:
    """A field is left out, of the menu or of an item."""
    return lambda menu: (menu if number is None else menu["items"][number]).pop(field)


def more(number: int, **changes: object) -> Change:
    """An item is there once more, with some fields changed."""
    return lambda menu: menu["items"].append({**menu["items"][number], **changes})


REFUSED: dict[str, tuple[Change, str]] = {
    # What is not there, or not what it should be.
    "no time zone": (without("timezone"), "timezone: "),
    "no such time zone": (of_menu(timezone="Europe/Ashcombe"), "timezone: there is no time zone"),
    "a folder of time zones": (of_menu(timezone="Europe"), "timezone: there is no time zone"),
    "a file as a time zone": (of_menu(timezone="../../../etc/passwd"), "timezone: there is no time zone"),
    "another currency": (of_menu(currency="EUR"), "currency: is EUR, and the scheme's is GBP"),
    "no currency": (of_menu(currency="pounds"), "currency: is not three capital letters"),
    "no items": (of_menu(items=[]), "items: "),
    "no services": (of_menu(services={}), "services: "),
    "a service without a name": (
        of_menu(services={"lunch": " "}),
        "services.lunch.value: is not a printable",
    ),
    "a field that is not known": (of_menu(discount="all"), "discount: Unknown field"),
    "an item's field that is not known": (of_item(2, vegan=True), "items[2].vegan: Unknown field"),
    "no key": (without("key", 4), "items[4].key: "),
    "a key with capitals": (of_item(4, key="Flapjack"), "items[4].key: is not a key"),
    "a key that ends its line": (of_item(4, key="flapjack\n"), "items[4].key: is not a key"),
    "a label of nothing": (of_item(4, label=""), "items[4].label: is not a printable text"),
    "a label with a line break": (of_item(4, label="Flap\njack"), "items[4].label: is not a printable text"),
    "half a character": (of_item(4, label="\ud800"), "items[4].label: is not a printable text"),
    "a label of 81": (of_item(4, label="x" * 81), "items[4].label: is not a printable text"),
    "a category of ours none": (of_item(4, category="treat"), "items[4].category: is none of main, side"),
    "hours beyond a week": (of_menu(offline_quote_hours=169), "offline_quote_hours: "),
    # Prices.
    "a price as a number": (of_item(4, price=0.8), "items[4].price: Not a valid string"),
    "a price with a sign": (
        of_item(4, price="£0.80"),
        "items[4] (flapjack): price: '£0.80' is not a decimal",
    ),
    "a comma in a price": (of_item(4, price="0,80"), "items[4] (flapjack): price: '0,80' is not a decimal"),
    "a tenth of a penny": (of_item(4, price="0.805"), "price: '0.805' has more than the 2 decimal places"),
    "a price below zero": (of_item(4, price="-0.80"), "items[4] (flapjack): price: -0.80 is no price"),
    "a price beyond all": (of_item(4, price="10000.01"), "items[4] (flapjack): price: 10000.01 is no price"),
    # Allergens: what is not said is not "none".
    "no word of allergens": (without("contains", 4), "items[4].contains: Missing data"),
    "no word of traces": (without("may_contain", 4), "items[4].may_contain: Missing data"),
    "a fifteenth allergen": (of_item(4, contains=["kiwi"]), "items[4].contains[0]: 'kiwi' is none of the 14"),
    "certain and possible": (
        of_item(4, may_contain=["gluten"]),
        "items[4] (flapjack): may_contain: gluten is what it contains",
    ),
    "an allergen twice": (of_item(4, contains=["milk", "milk"]), "items[4] (flapjack): contains: names one"),
    # Days and services.
    "a day of no calendar": (of_menu(last_day="2026-11-31"), "last_day: 2026-11-31 is not a day of the"),
    "a day the other way round": (of_menu(last_day="18/12/2026"), "last_day: is not a day like"),
    "a day far away": (of_menu(first_day="0001-01-01"), "first_day: 0001-01-01 is too far away"),
    "the menu ends before it begins": (of_menu(last_day="2026-08-31"), "last_day: is before first_day"),
    "an item ends before it begins": (
        of_item(4, first_day="2026-10-02", last_day="2026-10-01"),
        "items[4] (flapjack): last_day: is before first_day",
    ),
    "an item before the menu": (
        of_item(4, first_day="2026-08-31"),
        "items[4] (flapjack): is offered on days",
    ),
    "an item after the menu": (of_item(4, last_day="2026-12-19"), "items[4] (flapjack): is offered on days"),
    "at no service": (of_item(4, services=[]), "items[4].services: "),
    "at a service that is not": (
        of_item(4, services=["tea"]),
        "items[4] (flapjack): services: the menu has no",
    ),
    "at one service twice": (
        of_item(4, services=["lunch", "lunch"]),
        "items[4] (flapjack): services: names one twice",
    ),
    # Two things of one name.
    "a key twice": (
        more(4),
        "items[7] (flapjack): key: the same as of items[4] (flapjack), at one service on one day",
    ),
    "a key twice on one day": (
        of_item(1, first_day="2026-10-31"),
        "items[1] (pasta): key: the same as of items[0] (pasta)",
    ),
    "a label twice": (
        more(4, key="oat-bar"),
        "items[7] (oat-bar): label: the same as of items[4] (flapjack)",
    ),
    "a label in capitals": (more(4, key="oat-bar", label="FLAPJACK"), "items[7] (oat-bar): label: the same"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_menu_is_refused_with_the_place(name: str, tmp_path: Path) -> None:
    change, reason = REFUSED[name]
    with pytest.raises(TariffError) as refused:
        load(tmp_path, change)
    assert refused.value.file == "menu.json"
    assert reason in refused.value.reason


LOADED: dict[str, Change] = {
    "as it is": of_menu(),
    "the next day after": of_item(1, first_day="2026-11-01"),
    "one key at two services, at two prices": more(0, services=["break"], price="1.00"),
    "one label on other days": more(2, key="broth", first_day="2026-10-01", last_day="2026-10-31"),
    "a label of 80": of_item(4, label="x" * 80),
    "a price of hundreds": of_item(4, price="10000.00"),
    "one day alone": of_item(4, first_day="2026-12-18", last_day="2026-12-18"),
    "all fourteen": of_item(4, contains=[], may_contain=list(ALLERGENS)),
}


@pytest.mark.parametrize("name", LOADED)
def test_what_is_just_allowed_is_loaded(name: str, tmp_path: Path) -> None:
    assert meals().prepare(load(tmp_path, LOADED[name]).content)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b'{"items": [],\n "items": []}', None, "'items' is there twice"),
        (b'{"items": [\n', 2, "is not JSON"),
        (b'{\n"items": "\xff"}', 2, "is not UTF-8"),
        (b"[]", None, "is not a JSON object"),
        (b"[" * 60_000, None, "is not JSON that can be read"),
        (b" " * (1 << 20) + b" ", None, "is larger than 1024 KiB"),
        (b'{"x": NaN}', 1, "x: Unknown field"),
    ],
)
def test_a_file_that_cannot_be_read(text: bytes, line: int | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "menu.json"
    path.write_bytes(text)
    with pytest.raises(TariffError) as refused:
        meals().load([path], currency="GBP")
    assert (refused.value.file, refused.value.line) == ("menu.json", line)
    assert reason in refused.value.reason


@pytest.mark.parametrize(
    ("change", "shown", "reason"),
    [
        (of_item(4, price=0.8), '"price": 0.8', "items[4].price: Not a valid string"),
        (of_item(4, key="fl{a[p,\\"), '"key": "fl{', "items[4].key: is not a key"),
        (of_menu(services={"lunch": " "}), '"lunch": " "', "services.lunch.value: is not a printable"),
        (of_menu(currency="EUR"), '"currency": "EUR"', "currency: is EUR"),
        # Of what is missing or wrong as a whole, where the item begins.
        (without("contains", 6), '"key": "water"', "items[6].contains: Missing data"),
        (of_item(6, price="0,1"), '"key": "water"', "items[6] (water): price: '0,1'"),
    ],
)
def test_a_refusal_names_the_line(change: Change, shown: str, reason: str, tmp_path: Path) -> None:
    path = written(tmp_path, change)
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1).replace('{\n   "key"', '{   "key"'))
    with pytest.raises(TariffError) as refused:
        meals().load([path], currency="GBP")
    assert refused.value.line is not None
    assert shown in path.read_text().splitlines()[refused.value.line - 1]
    assert refused.value.reason.startswith(reason)


def test_a_refusal_names_ten_places_and_counts_the_rest(tmp_path: Path) -> None:
    with pytest.raises(TariffError) as refused:
        load(tmp_path, of_menu(items=[{}] * 3))
    assert refused.value.reason.count("Missing data") == 10
    assert refused.value.reason.endswith("; and 8 more")


def test_one_file_and_nothing_else_is_wanted(tmp_path: Path) -> None:
    path = written(tmp_path)
    for files in ([], [path, path], [tmp_path], [tmp_path / "none.json"]):
        with pytest.raises(TariffError):
            meals().load(files, currency="GBP")


def test_a_version_is_the_first_day_and_a_hash(tmp_path: Path) -> None:
    """Written down, so that a change of how it is computed is seen: stored statements name versions."""
    loaded = load(tmp_path)
    assert re.fullmatch(r"20260901-[0-9a-f]{24}", loaded.version)
    assert loaded.version == "20260901-587a103ee97cac59921c2c44"
    assert loaded.valid_from == datetime(2026, 8, 31, 23, 0, tzinfo=UTC)


def test_the_version_goes_by_what_is_offered(tmp_path: Path) -> None:
    first = load(tmp_path).version
    same = [
        of_item(4, price="0.8"),
        of_item(0, contains=["milk", "gluten"]),
        of_item(4, services=["lunch", "break"]),
    ]
    assert {load(tmp_path, change).version for change in same} == {first}
    other = [
        of_item(4, price="0.81"),
        of_item(4, may_contain=[]),
        of_item(4, label="Oats"),
        of_menu(offline_quote_hours=1),
    ]
    assert len({load(tmp_path, change).version for change in other} | {first}) == 5


def test_a_content_survives_the_database(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert meals().prepare(json.loads(json.dumps(loaded.content))) == meals().prepare(loaded.content)


def test_a_content_of_another_format_is_not_guessed_at(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format 3"):
        meals().prepare({**load(tmp_path).content, "format": 3})


def test_the_report_says_what_counts_and_what_looks_odd(tmp_path: Path) -> None:
    assert load(tmp_path).report == (
        "5 items for break, lunch in GBP; valid from 2026-09-01 to 2026-12-18 (Europe/London)",
        "declared without any allergen: water",
        "soup: not offered between 2026-09-30 and 2026-11-01",
    )
    snacks = load(tmp_path, lambda menu: menu.update(items=menu["items"][4:5]))
    assert "no item is a main meal: nothing is given where the money does not reach" in snacks.report


def test_the_demonstrations_menu_is_loaded() -> None:
    loaded = meals().load([DEMO_MENU], currency="GBP")
    categories = [item["category"] for item in loaded.content["items"]]  # type: ignore[attr-defined]  # JSON
    assert {"main", "snack", "drink"} <= set(categories)


def test_there_are_fourteen_allergens() -> None:
    """Regulation (EU) No 1169/2011, Annex II."""
    assert len(ALLERGENS) == len(set(ALLERGENS.values())) == 14


def load_or_refuse(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "menu.json"
        path.write_bytes(content)
        try:
            loaded = meals().load([path], currency="GBP")
        except TariffError as refused:
            assert refused.reason.isprintable()  # noqa: PT017  # either outcome is right
        else:
            meals().prepare(json.loads(json.dumps(loaded.content, ensure_ascii=False).encode()))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(content: bytes) -> None:
    load_or_refuse(content)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_file_with_bytes_changed_is_loaded_or_refused(data: st.DataObject) -> None:
    harmed = bytearray(json.dumps(MENU).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        harmed[data.draw(st.integers(0, len(harmed) - 1))] = data.draw(st.integers(0, 255))
    load_or_refuse(bytes(harmed))


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["lunch", "pasta", "2026-10-01", "0.80", "milk", "main", "Europe/London", "Zulu", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = sorted({field for item in MENU["items"] for field in item})


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(MENU)), JSON, max_size=2),
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=2),
)
def test_any_values_are_loaded_or_refused(menu: dict[str, Any], item: dict[str, Any]) -> None:
    changed = copy.deepcopy(MENU)
    changed["items"][4] |= item
    load_or_refuse(json.dumps(changed | menu).encode())
