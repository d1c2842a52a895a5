"""A leisure tariff is loaded as it is meant, or refused with the line and the place that is at fault."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardservice.services.seam import TariffError
from tests.cardservice.services.leisure_tariffs import TARIFF, Change, leisure, load, written


def of_row(name: str, number: int, **changes: object) -> Change:
    """Some of a row's fields are changed."""
    return lambda tariff: tariff[name][number].update(changes)


def of_tariff(**changes: object) -> Change:
    """Some of the tariff's fields are changed."""
    return lambda tariff: tariff.update(changes)


def more(name: str, number: int, **changes: object) -> Change:
    """A row is there once more, with some fields changed."""
    return lambda tariff: tariff[name].append({**tariff[name][number], **changes})


# What is changed, what is said of it, and what stands on the line that is named.
REFUSED: dict[str, tuple[Change, str, str]] = {
    "another currency": (
        of_tariff(currency="EUR"),
        "currency: is EUR, and the scheme's is GBP",
        '"currency"',
    ),
    "no such time zone": (of_tariff(timezone="Europe/Ashcombe"), "timezone: there is no", '"timezone"'),
    "ends before it begins": (of_tariff(last_day="2026-05-31"), "last_day: is before", '"last_day"'),
    "a category in two groups": (
        of_tariff(groups={"resident": ["a"], "concession": ["a"]}),
        "groups.concession: 'a' is in resident, too",
        '"concession"',
    ),
    "a price as a number": (of_row("prices", 4, price=6.2), "prices[4].price: Not a valid", '"price": 6.2'),
    "a price below zero": (of_row("prices", 4, price="-1.00"), "prices[4].price: -1.00 is out", "-1.00"),
    "a price beyond all": (of_row("prices", 4, price="10000.01"), "prices[4].price: 10000.01", "10000.01"),
    "a tenth of a penny": (of_row("prices", 4, price="6.205"), "prices[4].price: '6.205' has more", "6.205"),
    "of no activity": (of_row("prices", 4, activity="golf"), "prices[4].activity: there is no", '"golf"'),
    "no price for a group": (lambda it: it["prices"].pop(0), "activities.gym: has no standard", '"gym"'),
    "two prices on one day": (
        of_row("prices", 2, first_day="2026-09-30"),
        "prices[2]: overlaps with prices[1] (line 25), the resident price",
        "{",
    ),
    "a price twice": (more("prices", 0), "prices[7]: overlaps with prices[0]", "{"),
    "a day without a price": (
        of_row("prices", 2, first_day="2026-10-02"),
        "prices[2]: leaves a gap after",
        "{",
    ),
    "no price at first": (
        of_row("prices", 0, first_day="2026-06-02"),
        "prices[0]: leaves a gap: nothing",
        "{",
    ),
    "no price at last": (of_row("prices", 0, last_day="2026-12-30"), "prices[0]: leaves a gap: nothing", "{"),
    "before the tariff": (of_row("prices", 0, first_day="2026-05-31"), "prices[0]: holds on days", "{"),
    "days the wrong way": (
        of_row("prices", 1, first_day="2026-10-01"),
        "prices[1].last_day: is before",
        '"last_day"',
    ),
    "nobody's pass": (of_row("passes", 0, categories=[]), "passes[0]: name the categories", "{"),
    "half of a visit": (of_row("passes", 0, visits=True), "passes[0].visits: Not a valid", '"visits": true'),
    "two passes for one visit": (
        more("passes", 0, key="other", first_day="2026-09-30", last_day="2026-12-01"),
        "passes[2]: somebody could have it and passes[0]",
        "{",
    ),
    "a card of a member": (
        of_row("passes", 1, activities=["swim", "gym"]),
        "passes[1]: somebody could have it and passes[0]",
        "{",
    ),
    "a key twice": (more("sessions", 0), "sessions[2].key: the same as of sessions[0]", '"early"'),
    "a session on no day": (of_row("sessions", 0, day="2027-01-01"), "sessions[0].day: 2027-01-01", '"day"'),
    "a session of no time": (of_row("sessions", 0, ends="11:00"), "sessions[0].ends: is not after", '"ends"'),
    "half past 24": (of_row("sessions", 0, ends="24:30"), "sessions[0].ends: is not a time", '"ends"'),
    "an hour that comes twice": (
        of_row("sessions", 0, day="2026-10-25", starts="01:30"),
        "sessions[0].starts: 01:30 comes twice on 2026-10-25",
        '"starts"',
    ),
    "an hour that does not come": (
        lambda it: it.update(
            first_day="2026-03-01", sessions=[{**it["sessions"][0], "day": "2026-03-29", "starts": "01:30"}]
        ),
        "sessions[0].starts: 01:30 does not come on 2026-03-29",
        '"starts"',
    ),
    "an unknown field": (of_tariff(discount="all"), "discount: Unknown field", '"discount"'),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_tariff_is_refused_with_line_and_place(name: str, tmp_path: Path) -> None:
    change, reason, shown = REFUSED[name]
    with pytest.raises(TariffError) as refused:
        load(tmp_path, change)
    assert refused.value.reason.startswith(reason)
    assert refused.value.line is not None
    text = (tmp_path / "leisure.json").read_text(encoding="utf-8")
    assert shown in text.splitlines()[refused.value.line - 1]


LOADED: dict[str, Change] = {
    "as it is": of_tariff(),
    "the next day after": more("passes", 0, key="other", first_day="2026-10-01", last_day="2026-12-01"),
    "other people's pass": more("passes", 0, key="other", categories=["staff"]),
    "a session of nobody": of_row("sessions", 0, places=0),
    "the hour after the one that comes twice": of_row("sessions", 0, day="2026-10-25", starts="02:00"),
}


@pytest.mark.parametrize("name", LOADED)
def test_what_is_just_allowed_is_loaded(name: str, tmp_path: Path) -> None:
    loaded = load(tmp_path, LOADED[name])
    assert leisure().prepare(json.loads(json.dumps(loaded.content))) == leisure().prepare(loaded.content)
    assert set(loaded.capacities) == {"early", "late"}


def test_the_report_says_what_looks_odd(tmp_path: Path) -> None:
    loaded = load(tmp_path, of_row("prices", 6, price="6.21"))
    assert loaded.report == (
        (
            "2 activities, 2 passes, 1 products, 2 sessions in GBP;"
            " valid from 2026-06-01 to 2026-12-31 (Europe/London)"
        ),
        "swim: the concession price is above the standard price from 2026-06-01 on",
    )


def test_one_file_and_nothing_else_is_wanted(tmp_path: Path) -> None:
    path = written(tmp_path)
    for files in ([], [path, path], [tmp_path]):
        with pytest.raises(TariffError):
            leisure().load(files, currency="GBP")


def test_a_content_of_another_format_is_not_guessed_at(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format 2"):
        leisure().prepare({**load(tmp_path).content, "format": 2})


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_file_with_bytes_changed_is_loaded_or_refused(data: st.DataObject) -> None:
    harmed = bytearray(json.dumps(TARIFF).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        harmed[data.draw(st.integers(0, len(harmed) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "leisure.json"
        path.write_bytes(bytes(harmed))
        try:
            loaded: Any = leisure().load([path], currency="GBP")
        except TariffError as refused:
            assert refused.reason.isprintable()  # noqa: PT017  # either outcome is right
        else:
            leisure().prepare(json.loads(json.dumps(loaded.content, ensure_ascii=False).encode()))


def test_the_pages_example_loads_as_it_stands(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "services" / "leisure.md"
    example = page.read_text(encoding="utf-8").partition("```json\n")[2].partition("```")[0]
    (tmp_path / "leisure.json").write_text(example, encoding="utf-8")
    loaded = leisure().load([tmp_path / "leisure.json"], currency="GBP")
    assert loaded.capacities == {"swim-0615-11": 40}
    # And the refusal beside it is what is said of a first day that comes a day too early.
    clash = example.replace('"first_day": "2026-10-01"', '"first_day": "2026-09-30"')
    (tmp_path / "leisure.json").write_text(clash, encoding="utf-8")
    with pytest.raises(TariffError) as refused:
        leisure().load([tmp_path / "leisure.json"], currency="GBP")
    assert str(refused.value) in page.read_text(encoding="utf-8")
