"""What a terminal keeps of catalogues and quotes, and what it lets go of."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reader_agent.catalogues import Catalogue, read_catalogue
from reader_agent.memory import MAX_CATALOGUES, Memory
from reader_agent.service_client import Price, Quote
from reader_agent.wire import Document
from tests.reader_agent.card_service import Menu
from tests.reader_agent.world import BASKET, BASKET_MINOR, LUNCH

MOMENT = datetime(2026, 6, 15, 12, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
PRICE = Price(BASKET_MINOR, "GBP", "menu-1", MOMENT + DAY)


def catalogue(service: str = "meals", **more: object) -> Catalogue:
    """Of a day."""
    answer = {**Menu(list(LUNCH)).answer(service, MOMENT), **more}
    return read_catalogue(Document(answer, "catalogue"), service)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where it lies."""
    return tmp_path / "memory.sqlite"


@pytest.fixture
def memory(path: Path) -> Iterator[Memory]:
    """With the catalogue of meals."""
    with closing(Memory(path)) as opened:
        opened.want_catalogue("meals", MOMENT)
        opened.keep_catalogue(catalogue(), MOMENT)
        yield opened


def test_a_catalogue_is_found_until_it_ends(memory: Memory, path: Path) -> None:
    """Also after it was opened again; then it is deleted, and stays wanted."""
    with closing(Memory(path)) as again:
        found = again.catalogue("meals", MOMENT + DAY - SECOND)
    assert found is not None
    assert (found.catalogue, found.as_of) == (catalogue(), MOMENT)
    assert memory.catalogue("meals", MOMENT + DAY) is None
    memory.forget_expired(MOMENT + DAY - SECOND)
    assert memory.catalogue("meals", MOMENT) is not None
    memory.forget_expired(MOMENT + DAY)
    assert memory.catalogue("meals", MOMENT) is None
    assert memory.wanted_catalogues() == ["meals"]


def test_what_nobody_wants_is_not_kept(memory: Memory) -> None:
    """Another service's, and one that was given up."""
    memory.keep_catalogue(catalogue("leisure"), MOMENT)
    assert memory.catalogue("leisure", MOMENT) is None
    memory.forget_catalogue("meals", is_wanted=True)
    assert (memory.catalogue("meals", MOMENT), memory.wanted_catalogues()) == (None, ["meals"])
    memory.forget_catalogue("meals", is_wanted=False)
    assert memory.wanted_catalogues() == []


def test_catalogues_are_bounded(memory: Memory) -> None:
    """The one that was asked for longest ago gives way."""
    for number in range(MAX_CATALOGUES):
        memory.want_catalogue(f"service-{number}", MOMENT + (number + 1) * SECOND)
    assert len(memory.wanted_catalogues()) == MAX_CATALOGUES
    assert "meals" not in memory.wanted_catalogues()


@pytest.mark.parametrize("damage", ["{", "{}", "[]", '{"service": "meals"}'])
def test_a_damaged_catalogue_is_none(memory: Memory, path: Path, damage: str) -> None:
    """It is asked for again."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE catalogue SET document = ?", (damage,))
    assert memory.catalogue("meals", MOMENT) is None
    assert memory.offline_price("meals", "sale", BASKET, MOMENT) is None


@pytest.mark.parametrize(
    ("quote", "is_doubted"),
    [
        (Quote(PRICE, (), PRICE), False),
        (Quote(replace(PRICE, tariff_version="menu-2"), (), None), True),
        # Within the limit, and not to be sold offline all the same
        (Quote(PRICE, (), None), True),
        (Quote(replace(PRICE, amount_minor=1001), (), None), False),
        (Quote(replace(PRICE, amount_minor=1001), (), replace(PRICE, amount_minor=1001)), True),
    ],
)
def test_a_quote_that_contradicts_the_catalogue(memory: Memory, quote: Quote, is_doubted: bool) -> None:
    """Then it is doubted until it is here anew."""
    memory.keep_quote("meals", "sale", BASKET, quote, MOMENT)
    assert memory.is_doubted("meals") is is_doubted
    memory.keep_catalogue(catalogue(), MOMENT + SECOND)
    assert not memory.is_doubted("meals")


def test_a_refusal_holds_against_the_older_catalogue(memory: Memory) -> None:
    """And not against a newer one; without a catalogue nothing need be kept."""
    assert memory.offline_price("meals", "sale", BASKET, MOMENT) is not None
    memory.keep_quote("meals", "sale", BASKET, Quote(PRICE, (), None), MOMENT + SECOND)
    assert memory.offline_price("meals", "sale", BASKET, MOMENT + 2 * SECOND) is None
    memory.keep_catalogue(catalogue(), MOMENT + 2 * SECOND)
    assert memory.offline_price("meals", "sale", BASKET, MOMENT + 2 * SECOND) == PRICE


def test_a_limit_that_was_withdrawn(memory: Memory) -> None:
    """The new catalogue has none: neither by it nor by what was quoted before."""
    memory.keep_quote("meals", "sale", BASKET, Quote(PRICE, (), PRICE), MOMENT)
    memory.keep_catalogue(catalogue(offline_limit_minor=None), MOMENT + SECOND)
    assert memory.offline_price("meals", "sale", BASKET, MOMENT + 2 * SECOND) is None


def test_a_file_of_an_earlier_version(path: Path) -> None:
    """Its prices are gone, and it can be used."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE offline_price (wanted BLOB PRIMARY KEY)")
    with closing(Memory(path)) as memory:
        memory.keep_quote("meals", "sale", BASKET, Quote(PRICE, (), PRICE), MOMENT)
        assert memory.offline_price("meals", "sale", BASKET, MOMENT) == PRICE
