"""What past days would have come to under a draft: each service's sales and days, moved to when it holds."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cardservice.cli import main
from cardservice.ledger.retention import erase_due
from cardservice.ledger.statements import Period
from cardservice.services.seam import LoadedTariff
from cardservice.tariffs import desk, drafts
from cardservice.tariffs.repricing import RATED, Repriced
from tests.cardservice.conftest import PASSPHRASE
from tests.cardservice.providers.test_statements import Town, a_day_of_everything
from tests.cardservice.services import leisure_tariffs, parking_tariffs
from tests.cardservice.services.travels import load_travel, travel
from tests.support.council import ACTOR, Council

DAY = Period(date(2026, 6, 15), date(2026, 6, 15))


@pytest.fixture
def town(council: Council, tmp_path: Path) -> Town:
    """A day of everything, paid with one card."""
    made = Town(council, tmp_path)
    a_day_of_everything(made, council.card("adult", top_up_minor=20_000))
    return made


def looked(town: Town, service: str, loaded: LoadedTariff, at_most: int = 100) -> Repriced:
    """The day under a draft."""
    context = town.council.context
    with context.database.begin() as connection:
        made = drafts.draft_tariff(
            connection, service, loaded, source="x", actor=ACTOR, moment=town.council.clock()
        )
    assert made is not None
    return desk.look_back(context, made.id, DAY, at_most)


def told(found: Repriced) -> dict[str, tuple[int, int, int, int, int]]:
    return {
        name: (each.count, each.before_minor, each.after_minor, each.dearer, each.cheaper)
        for name, each in found.actions.items()
    }


def test_each_service_under_a_draft(town: Town, tmp_path: Path) -> None:
    """Whose days lie ahead: the same weekday, some weeks on; what was only set aside is no sale."""

    def autumn(values: dict[str, Any]) -> None:
        values["first_day"] = "2026-09-01"
        values["places"][0]["bands"][0]["tiers"][0]["price"] = "1.10"
        values["places"][1]["bands"][0]["each"]["price"] = "0.70"

    found = looked(town, "parking", parking_tariffs.load(tmp_path, autumn))
    assert found.weeks == 12
    assert told(found) == {"start": (1, 90, 110, 1, 0), "pay-on-exit": (1, 200, 140, 0, 1)}
    gym = leisure_tariffs.load(
        tmp_path, lambda values: [each.update(price="9.00") for each in values["prices"]]
    )
    found = looked(town, "leisure", gym)
    assert (found.weeks, told(found)) == (0, {"entry": (1, 500, 900, 1, 0)})
    fares = load_travel(tmp_path, card_map={"travel": travel(caps=[{"period": "day", "amount": "0.70"}])})
    found = looked(town, "transport", fares)
    # The ride that was taken back was a sale, too; the day of two taps is capped.
    assert told(found) == {"single-fare": (2, 200, 200, 0, 0), RATED: (1, 100, 70, 0, 1)}
    assert (found.erased, found.more) == (0, False)


def test_what_is_not_sold_any_more_or_is_too_much_is_said(town: Town, tmp_path: Path) -> None:
    closed = parking_tariffs.load(tmp_path, lambda values: values["places"].pop(0))
    found = looked(town, "parking", closed, at_most=2)
    assert dict(found.actions["start"].refused) == {"place_unknown": 1}
    assert found.more
    context = town.council.context
    town.council.clock.advance(days=60)
    assert sum(erase_due(context.database, "travel", 56, context.now(), lambda *_: None))
    gone = desk.look_back(context, _waiting(town), DAY, 100)
    assert (gone.actions, gone.erased > 0) == ({}, True)


def _waiting(town: Town) -> Any:
    with town.council.context.database.reading() as connection:
        [only] = drafts.open_drafts(connection)
    return only.id


def test_the_command(town: Town, tmp_path: Path) -> None:
    dearer = leisure_tariffs.load(
        tmp_path, lambda values: [each.update(price="9.00") for each in values["prices"]]
    )
    looked(town, "leisure", dearer)
    context = town.council.context
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
    }
    arguments = ["tariff", "past", str(_waiting(town)), "2026-06-15", "2026-06-15"]
    said = CliRunner().invoke(main, arguments, env=settings)
    assert said.stdout == "entry: 1, 5.00 GBP becomes 9.00 GBP; 1 dearer, 0 cheaper\n", said.output
    values = json.loads(CliRunner().invoke(main, [*arguments, "--json"], env=settings).stdout)
    assert values["actions"]["entry"]["after_minor"] == 900
    assert timedelta(weeks=values["weeks"]) == timedelta(0)
