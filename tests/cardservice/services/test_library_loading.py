"""Terms of lending are loaded as they are meant, or refused with the line and the place that is at fault."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardservice.services.library.schemas import WEEKDAYS
from cardservice.services.seam import TariffError
from tests.cardservice.services.library_terms import Change, library, load, written


def of_row(name: str, number: int, **changes: object) -> Change:
    """Some of a row's fields are changed."""
    return lambda terms: terms[name][number].update(changes)


def of_terms(**changes: object) -> Change:
    """Some of the terms' fields are changed."""
    return lambda terms: terms.update(changes)


# What is changed, what is said of it, and what stands on the line that is named.
REFUSED: dict[str, tuple[Change, str, str]] = {
    "another currency": (of_terms(currency="EUR"), "currency: is EUR, and the scheme's is GBP", '"currency"'),
    "no such time zone": (of_terms(timezone="Europe/Ashcombe"), "timezone: there is no", '"timezone"'),
    "ends before it begins": (of_terms(last_day="2026-05-31"), "last_day: is before", '"last_day"'),
    "never open": (
        of_terms(closed_weekdays=[*WEEKDAYS]),
        "closed_weekdays: leaves no day",
        '"closed_weekdays"',
    ),
    "no weekday": (of_terms(closed_weekdays=["sundy"]), "closed_weekdays[0]: is none of", '"sundy"'),
    "a category in two classes": (
        of_row("members", 1, categories=["child", "older"]),
        "members[1].categories: 'older' is in adult, too",
        '"categories"',
    ),
    "a class twice": (of_row("members", 1, key="adult"), "members[1].key: the same as of", '"adult"'),
    "a pair twice": (
        of_row("lending", 1, items="book"),
        "lending[1]: is about the same as lending[0] (line 40): adult, book",
        "{",
    ),
    "a pair left out": (
        lambda it: it["lending"].pop(3),
        "members[1]: nothing says what holds for young",
        "{",
    ),
    "no such class of member": (of_row("lending", 0, members="x"), "lending[0].members: there is", '"x"'),
    "no such class of thing": (of_row("lending", 0, items="map"), "lending[0].items: there is no", '"map"'),
    "a child's fine": (
        of_row("lending", 2, fine_per_day="0.01", fine_cap="0.01"),
        "lending[2].fine_per_day: nobody who is child is fined",
        '"fine_per_day"',
    ),
    "a fine without a cap": (
        of_row("lending", 0, fine_cap="0.00"),
        "lending[0].fine_cap: a fine",
        '"fine_cap"',
    ),
    "a cap below a day": (of_row("lending", 0, fine_cap="0.24"), "lending[0].fine_cap: a fine", '"fine_cap"'),
    "a cap of nothing": (
        of_row("lending", 2, fine_cap="1.00"),
        "lending[2].fine_cap: a fine has",
        '"fine_cap"',
    ),
    "a fine as a number": (of_row("lending", 0, fine_per_day=0.25), "lending[0].fine_per_day: Not", "0.25"),
    "a fine below zero": (
        of_row("lending", 0, fine_per_day="-1.00"),
        "lending[0].fine_per_day: -1.00",
        "-1.00",
    ),
    "a tenth of a penny": (of_row("lending", 0, fine_per_day="0.255"), "'0.255' has more", "0.255"),
    "blocked from nothing": (of_row("members", 0, blocked_from="0.00"), "blocked_from: 0.00 is out", "0.00"),
    "true as a number": (of_row("lending", 0, days=True), "lending[0].days: Not a valid", '"days": true'),
    "no day of the calendar": (of_terms(closed_days=["2026-02-30"]), "2026-02-30 is not", '"2026-02-30"'),
    "an unknown field": (of_row("lending", 0, fine="x"), "lending[0].fine: Unknown field", '"fine"'),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_with_its_line(name: str, tmp_path: Path) -> None:
    change, says, stands = REFUSED[name]
    with pytest.raises(TariffError) as refused:
        load(tmp_path, change)
    assert says in str(refused.value)
    assert refused.value.line is not None
    lines = written(tmp_path, change).read_text("utf-8").splitlines()
    assert stands in lines[refused.value.line - 1]


def test_the_same_file_is_the_same_version(tmp_path: Path) -> None:
    first, again = load(tmp_path), load(tmp_path)
    dearer = load(tmp_path, of_row("lending", 0, fine_per_day="0.26"))
    assert first.version == again.version != dearer.version
    assert first.version.startswith("20260601-")
    assert "no fine is above 5.00 GBP" in first.report


def test_terms_name_what_they_say(tmp_path: Path) -> None:
    service = library()
    listed = service.price_list(service.prepare(load(tmp_path).content))  # type: ignore[attr-defined]
    said = {each.what: each.says for each in listed}
    assert len(said) == len(listed)
    assert said["book for adult, late"] == "0.25 GBP a day, 2.00 GBP at most, after 1 days of grace"
    assert said["closed on"] == "sunday, 2026-08-31"


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "library.json"
        path.write_bytes(content)
        with pytest.raises(TariffError):
            library().load([path], currency="GBP")


def test_one_file_is_wanted() -> None:
    with pytest.raises(TariffError, match="name one file"):
        library().load([], currency="GBP")
