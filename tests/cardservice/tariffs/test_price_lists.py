"""Price lists: whatever differs between two tariffs shows in them; a preview overlooks nothing."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cardservice.services import discover
from cardservice.services.seam import LoadedTariff
from cardservice.tariffs.preview import lines_of
from tests.cardservice.services import leisure_tariffs, menus, parking_tariffs

SAMPLES = {"parking": parking_tariffs.load, "leisure": leisure_tariffs.load, "meals": menus.load}
# Derived from the content, or of how it is stored; a currency is the scheme's alone.
FRAME = {"format", "version", "currency"}


def loaded(service: str, folder: Path) -> LoadedTariff:
    """The tests' own tariff of a service."""
    return SAMPLES[service](folder)


def numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each whole number of a content stands: prices, minutes, limits, counts."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from numbers(each, (*path, name))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from numbers(each, (*path, number))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield path


@pytest.mark.parametrize("service", SAMPLES)
def test_no_number_changes_unseen(service: str, tmp_path: Path) -> None:
    """Every number of a stored tariff, one more: some line of the list says it."""
    rules = discover()[service]
    content = dict(loaded(service, tmp_path).content)
    before = lines_of(rules, content)
    places = [path for path in numbers(content) if path[0] not in FRAME]
    assert len(places) > 5
    for path in places:
        other: Any = copy.deepcopy(content)
        inner = other
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] += 1
        assert lines_of(rules, other) != before, path


@pytest.mark.parametrize("service", SAMPLES)
def test_no_line_is_about_the_same(service: str, tmp_path: Path) -> None:
    """Else one would hide another."""
    rules: Any = discover()[service]
    content = loaded(service, tmp_path).content
    listed = [line.what for line in rules.price_list(rules.prepare(content))]
    assert len(listed) == len(set(listed))
