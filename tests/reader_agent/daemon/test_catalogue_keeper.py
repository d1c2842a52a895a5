"""When catalogues are fetched, and what the service's refusals do to what is stored."""

from datetime import timedelta

import pytest

from reader_agent.catalogues import MAX_AGE, StoredCatalogue
from reader_agent.daemon import catalogues
from reader_agent.daemon.catalogues import CatalogueKeeper
from reader_agent.daemon.errors import CatalogueMissing, CatalogueRefused
from reader_agent.errors import AgentError, ServiceAnswerInvalid, ServiceUnreachable
from tests.reader_agent.card_service import Menu, Refused
from tests.reader_agent.world import BASKET, BASKET_MINOR, LUNCH, SALE, World

PATH = "/v1/catalogues/meals"


@pytest.fixture
def keeper(world: World) -> CatalogueKeeper:
    """Of a terminal that wants the service's catalogue and has it."""
    world.service.menus["meals"] = Menu(list(LUNCH))
    made = CatalogueKeeper(world.directory.memory_file, world.clock)
    assert made.want("meals") is None
    made.keep(world.agent, is_back=False)
    assert made.want("meals") is not None
    return made


def fetched(world: World) -> int:
    """How often it was fetched."""
    return world.service.paths.count(PATH)


def stored(world: World) -> StoredCatalogue | None:
    """What a tap would find now."""
    return world.agent.memory.catalogue("meals", world.clock())


def test_it_is_fetched_when_it_is_due(keeper: CatalogueKeeper, world: World) -> None:
    """Not at each turn; after four minutes, when the service is back, and when a quote contradicts it."""
    keeper.keep(world.agent, is_back=False)
    assert fetched(world) == 1
    world.clock.offset += MAX_AGE
    keeper.keep(world.agent, is_back=False)
    assert fetched(world) == 2
    keeper.keep(world.agent, is_back=True)
    assert fetched(world) == 3
    world.service.menus["meals"].tariff_version = "menu-2"
    quote = world.agent.client.quote("meals", "sale", None, BASKET)
    world.agent.memory.keep_quote("meals", "sale", BASKET, quote, world.clock())
    keeper.keep(world.agent, is_back=False)
    assert fetched(world) == 4
    keeper.keep(world.agent, is_back=False)
    assert fetched(world) == 4


def test_a_new_period_is_fetched(keeper: CatalogueKeeper, world: World) -> None:
    """Its keys are those of the period until then, also where nobody could ask."""
    world.service.menus["meals"].periods = (timedelta(seconds=100), timedelta(hours=24))
    keeper.keep(world.agent, is_back=True)
    before = stored(world)
    world.clock.offset += timedelta(seconds=100)
    now = stored(world)
    assert before is not None
    assert now is not None
    assert before.catalogue.period_at(before.as_of) != now.catalogue.period_at(world.clock())
    count = fetched(world)
    keeper.keep(world.agent, is_back=False)
    assert fetched(world) == count + 1


@pytest.mark.parametrize(
    ("problem", "expected", "is_kept", "is_wanted"),
    [
        ((404, "catalogue_missing"), CatalogueMissing, False, False),
        ((403, "role_not_allowed"), CatalogueRefused, False, False),
        ((422, "tariff_missing"), CatalogueRefused, False, True),
        ((401, "request_signature_stale"), CatalogueRefused, True, True),
        ((503, "overloaded"), ServiceUnreachable, True, True),
    ],
)
def test_what_a_refusal_does(
    keeper: CatalogueKeeper,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    problem: tuple[int, str],
    expected: type[AgentError],
    is_kept: bool,
    is_wanted: bool,
) -> None:
    """What the service takes back is sold no longer; what it cannot say just now changes nothing."""

    def refuse(_: str) -> dict[str, object]:
        raise Refused(*problem)

    monkeypatch.setattr(world.service, "_catalogue", refuse)
    asked = keeper.ask("meals")
    keeper.keep(world.agent, is_back=False)
    assert isinstance(asked.exception(30), expected)
    assert (stored(world) is not None, world.agent.memory.wanted_catalogues() == ["meals"]) == (
        is_kept,
        is_wanted,
    )
    world.service.stop()
    assert (world.tap(SALE).amount_minor == BASKET_MINOR) is is_kept


def test_after_a_failure_the_service_is_left_in_peace(
    keeper: CatalogueKeeper, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for somebody who asks, and when it is back."""
    world.clock.offset += MAX_AGE
    world.service.menus["meals"].sections = [{"key": "lunch"}]
    for _ in range(3):
        keeper.keep(world.agent, is_back=False)
    assert fetched(world) == 2
    asked = keeper.ask("meals")
    keeper.keep(world.agent, is_back=False)
    assert isinstance(asked.exception(30), ServiceAnswerInvalid)
    keeper.keep(world.agent, is_back=True)
    assert fetched(world) == 4
    monkeypatch.setattr(catalogues, "RETRY_S", 0.0)
    keeper.keep(world.agent, is_back=True)
    keeper.keep(world.agent, is_back=False)
    assert fetched(world) == 6
    assert stored(world) is not None


def test_a_catalogue_of_another_time_is_not_taken(
    keeper: CatalogueKeeper, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing about now: one of the clocks is wrong, and what is stored stays."""
    menu, count = world.service.menus["meals"], fetched(world)
    later = menu.answer("meals", world.clock() + timedelta(hours=1))
    monkeypatch.setattr(world.service, "_catalogue", lambda _: {**later, "tariff_version": "menu-2"})
    asked = keeper.ask("meals")
    keeper.keep(world.agent, is_back=False)
    assert isinstance(asked.exception(30), ServiceAnswerInvalid)
    assert fetched(world) == count + 1
    found = stored(world)
    assert found is not None
    assert found.catalogue.tariff_version == "menu-1"


def test_it_ends_in_the_middle_of_service(keeper: CatalogueKeeper, world: World) -> None:
    """Without the service the till sells to its last moment, and then nothing more."""
    world.service.menus["meals"].periods = (timedelta(hours=1), timedelta(hours=1))
    keeper.keep(world.agent, is_back=True)
    world.service.stop()
    world.clock.offset += timedelta(minutes=119)
    sold = world.tap(SALE)
    assert (sold.offline, sold.amount_minor, sold.currency) == (True, BASKET_MINOR, "GBP")
    world.clock.offset += timedelta(minutes=2)
    assert world.tap(SALE).reason == "offline_refused"
    assert len(world.entries()) == 1
