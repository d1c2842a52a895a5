"""Taps through the service's door, and what their day costs, whichever way they come."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from cardservice.authorisation.explanation import explain
from cardservice.cli import main
from cardservice.context import Context
from cardservice.ids import PayerId
from cardservice.ledger.closing.sequencing import sequence
from cardservice.ledger.event_models import rating
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.retention import erase_due
from cardservice.ledger.verify import verify
from cardservice.payments.moving import Goodwill, give_goodwill
from cardservice.rating.service import Charged, rate_all
from cardservice.rating.telling import tell_day
from cardservice.tariffs.service import store_tariff
from cardservice.upkeep import calendar_of, keep_up
from pki.statements import details_hmac
from tests.cardservice.conftest import PASSPHRASE
from tests.cardservice.services.travels import load_travel
from tests.support.council import (
    ACTOR,
    SALT,
    START,
    Card,
    Council,
    Reply,
    Terminal,
    advice_of,
    annulment,
    message,
    request_for,
)

URL = "/v1/authorisations"


@dataclass(frozen=True, slots=True)
class Town:
    """Buses with a validator, and taps at minutes from the clock's beginning."""

    council: Council
    bus: Terminal

    def request(self, card: Card, action: str, amount_minor: int | None = None, **details: str) -> Reply:
        """Ask, now."""
        own = request_for(self.bus, card, **self._said(action, amount_minor, details))
        return self.bus.post(URL, message(own, card, details=details))

    def tapped(self, card: Card, action: str, stop: str, minutes: int) -> dict[str, Any]:
        """An advice of a tap, to be sent now or later."""
        own = advice_of(
            self.bus,
            card,
            **self._said(action, None, {"stop": stop}),
            time=START + timedelta(minutes=minutes),
        )
        return message(own, card, details={"stop": stop})

    def send(self, told: Sequence[dict[str, Any]]) -> None:
        for each in told:
            assert self.bus.post(URL, each).outcome == (200, "approved")

    def rate(self) -> int:
        """What the worker does beside sealing days and asking payment providers."""
        context = self.council.context
        sequence(context.database, calendar_of(context))
        return rate_all(context).revisions

    @staticmethod
    def _said(action: str, amount_minor: int | None, details: dict[str, str]) -> dict[str, Any]:
        return {
            "service": "transport",
            "action": action,
            "amount_minor": amount_minor,
            "details_hmac": details_hmac(SALT, details),
        }


@pytest.fixture
def town(council: Council, tmp_path: Path) -> Town:
    """The fares of the tests' feed: from a to b 1.00, to c 2.00; 3.00 where an end is missing."""
    loaded = load_travel(tmp_path)
    with council.context.database.begin() as connection:
        store_tariff(connection, "transport", loaded, source="feed", actor=ACTOR, moment=council.clock())
    return Town(council, council.terminal("bus-1"))


def say_day(context: Context, *arguments: str) -> Result:
    """`cardservice transaction day`, in this process."""
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
    }
    return CliRunner().invoke(main, ["transaction", "day", *arguments], env=settings)


def revisions(town: Town, payer: PayerId) -> list[int]:
    """What a payer's days should cost, revision by revision."""
    with town.council.context.database.reading() as connection:
        own = rating.c
        query = select(own.should_be_minor).where(own.payer_id == payer).order_by(own.revision)
        return list(connection.scalars(query))


def test_days_as_their_taps_come(town: Town) -> None:
    """Each with a card of its own, in one town: setting up costs more than all of them."""
    dearer_goes_to_arrears_and_goodwill_stays(town)
    what_is_annulled_or_told_twice_is_not_charged(town)
    a_pass_is_bought_inspected_and_ridden_on(town)
    a_pass_begins_with_the_first_ride_whichever_is_told_first(town)
    # Another bus: one may not ask more often than that in a minute.
    other = Town(town.council, town.council.terminal("bus-2"))
    an_incomplete_journey_costs_the_maximum_until_its_end_turns_up(other)
    a_round_that_is_stopped_is_done_again(other)
    assert verify(town.council.context.database).is_clean


def an_incomplete_journey_costs_the_maximum_until_its_end_turns_up(town: Town) -> None:
    card = town.council.card("adult", top_up_minor=1000)
    told = town.tapped(card, "tap-out", "b1", 20)
    assert town.request(card, "tap-in", stop="a1").outcome == (200, "approved")
    assert town.council.balances(card.payer) == (1000, 0)
    assert (keep_up(town.council.context).rated, town.rate()) == (1, 0)
    assert town.council.balances(card.payer) == (700, 0)
    town.council.clock.advance(minutes=40)
    town.send([told])
    assert town.rate() == 1
    assert town.council.balances(card.payer) == (900, 0)
    assert revisions(town, card.payer) == [300, 100]
    with town.council.context.database.reading() as connection:
        day = START.date()
        [told_day] = tell_day(town.council.context, connection, card.holder, "transport", day)
    assert (told_day.agrees, told_day.revision, told_day.charged_minor) == (True, 2, 100)
    [journey] = told_day.journeys
    assert (journey["basis"], journey["fare_minor"], journey["capped_by"]) == ("fare", 100, None)
    said = say_day(town.council.context, str(card.holder), "transport", day.isoformat(), "--json")
    [shown] = json.loads(said.stdout)["days"]
    assert (shown["agrees"], shown["charged_minor"], shown["journeys"]) == (True, 100, [dict(journey)])
    nobodys = say_day(town.council.context, str(card.holder), "transport", "2026-06-01")
    assert (nobodys.exit_code, nobodys.stdout) == (0, "Nobody tapped on that day.\n")
    assert say_day(town.council.context, str(card.holder), "meals", day.isoformat()).exit_code != 0


def dearer_goes_to_arrears_and_goodwill_stays(town: Town) -> None:
    card = town.council.card("adult", top_up_minor=100)
    first = [town.tapped(card, "tap-in", "a1", 0), town.tapped(card, "tap-out", "b1", 10)]
    late = [town.tapped(card, "tap-in", "a1", -60), town.tapped(card, "tap-out", "c1", -30)]
    town.send(first)
    town.rate()
    assert town.council.balances(card.payer) == (0, 0)
    give_goodwill(town.council.context, Goodwill(card.payer, 50), actor=ACTOR)
    town.send(late)
    assert town.rate() == 1
    # 2.00 and then 1.00 of what is left below the day's cap of 3.50: the goodwill pays part of it.
    assert town.council.balances(card.payer) == (0, -150)
    assert revisions(town, card.payer) == [100, 300]


def what_is_annulled_or_told_twice_is_not_charged(town: Town) -> None:
    card = town.council.card("adult", top_up_minor=1000)
    own = request_for(town.bus, card, **town._said("tap-in", None, {"stop": "a1"}))
    assert town.bus.post(URL, message(own, card, details={"stop": "a1"})).outcome == (200, "approved")
    town.rate()
    assert town.council.balances(card.payer) == (700, 0)
    assert town.bus.post(URL, annulment(town.bus, card, own.id)).outcome == (200, "annulled")
    assert town.rate() == 1
    assert town.council.balances(card.payer) == (1000, 0)
    assert revisions(town, card.payer) == [300, 0]


def a_pass_begins_with_the_first_ride_whichever_is_told_first(town: Town) -> None:
    """Three days: told of the fourth day first, and then of the first, the fourth is no longer free."""
    card, since = town.council.card("adult", top_up_minor=2000), town.council.clock()
    assert town.request(card, "buy-pass", 800, product="three").outcome == (200, "approved")
    assert town.request(card, "inspect").outcome == (200, "no_ticket")
    town.council.clock.advance(days=8)
    elapsed = round((town.council.clock() - START).total_seconds()) // 60
    # The first ride lies in the week of the purchase, the other in the next.
    early = [town.tapped(card, kind, stop, elapsed - 8 * 1440 + wait) for kind, stop, wait in
             (("tap-in", "a1", 4 * 1440), ("tap-out", "c1", 4 * 1440 + 20))]  # fmt: skip
    town.send(
        [
            town.tapped(card, "tap-in", "a1", elapsed - 1440),
            town.tapped(card, "tap-out", "c1", elapsed - 1400),
        ]
    )
    town.rate()
    assert town.council.balances(card.payer) == (1200, 0)
    town.send(early)
    town.rate()
    assert town.council.balances(card.payer) == (1000, 0)
    town.council.clock.moment = since


@pytest.mark.long
def test_the_order_in_which_taps_arrive_does_not_matter(town: Town) -> None:
    """Some orders of seven taps, of a card each, rated after every one; all as pure functions elsewhere."""
    cards = [town.council.card("adult", top_up_minor=1000) for _ in range(7)]
    for card, order in zip(cards, list(permutations(range(7)))[13::720], strict=True):
        told = [
            town.tapped(card, action, stop, minutes)
            for action, stop, minutes in (
                ("tap-in", "a1", -170),
                ("tap-out", "c1", -150),
                ("tap-in", "c1", -140),
                ("tap-out", "a1", -120),
                ("tap-in", "a1", -60),
                ("tap-in", "a1", -58),
                ("tap-out", "b1", -30),
            )
        ]
        for number in order:
            town.send([told[number]])
            town.rate()
    # 2.00, then 1.50 of the 3.00 where there is no fare, then nothing: 3.50 is the cap of the day.
    assert {town.council.balances(card.payer) for card in cards} == {(650, 0)}
    with town.council.context.database.reading() as connection:
        days = [
            tell_day(town.council.context, connection, card.holder, "transport", START.date())[0]
            for card in cards
        ]
    assert all(day.agrees for day in days)
    assert [
        [journey["basis"], len(cast("list[object]", journey["passed_back"])), journey["charged_minor"]]
        for journey in days[0].journeys
    ] == [["fare", 0, 200], ["no_fare", 0, 150], ["fare", 1, 0]]
    assert verify(town.council.context.database).is_clean


class StoppedAfter(Event):
    """Is set once it has been asked so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._left = times

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


def a_round_that_is_stopped_is_done_again(town: Town) -> None:
    """Before it, and before a group: asked in between by the step and by each of its groups."""
    card = town.council.card("adult", top_up_minor=1000)
    assert town.request(card, "tap-in", stop="a1").outcome == (200, "approved")
    context = town.council.context
    sequence(context.database, calendar_of(context))
    for times in (0, 1):
        assert rate_all(context, stop=StoppedAfter(times)) == Charged()
    assert town.council.balances(card.payer) == (1000, 0)
    assert town.rate() == 1
    assert town.council.balances(card.payer) == (700, 0)


def a_pass_is_bought_inspected_and_ridden_on(town: Town) -> None:
    card = town.council.card("adult", top_up_minor=5000)
    assert town.request(card, "inspect").outcome == (200, "no_ticket")
    assert town.request(card, "use-pass", from_stop="a1").outcome == (200, "no_pass")
    assert town.request(card, "buy-pass", 3999, product="month").outcome == (200, "price_changed")
    assert town.request(card, "buy-pass", 4000, product="month").outcome == (200, "approved")
    assert town.request(card, "inspect").outcome == (200, "approved")
    assert town.request(card, "use-pass", from_stop="a1").outcome == (200, "approved")
    assert town.request(card, "tap-in", stop="a1").outcome == (200, "approved")
    town.rate()
    assert town.council.balances(card.payer) == (1000, 0)
    assert revisions(town, card.payer) == [0]
    with town.council.context.database.reading() as connection:
        own = ledger_transaction.c
        ids = connection.scalars(select(own.id).where(own.payer_id == card.payer, own.action.is_not(None)))
        assert {explain(town.council.context, connection, each).agrees for each in ids.all()} == {True}


@pytest.mark.long
def test_taps_whose_details_are_erased_are_left_as_they_were_charged(town: Town) -> None:
    card = town.council.card("adult", top_up_minor=1000)
    told = town.tapped(card, "tap-in", "a1", 0)
    town.send([told])
    town.rate()
    context = town.council.context
    town.council.clock.advance(days=57)
    erased = erase_due(context.database, "travel", 56, context.now(), lambda *_: None)
    assert sum(erased) == 1
    town.send([town.tapped(card, "tap-out", "b1", 5)])
    sequence(context.database, calendar_of(context))
    assert rate_all(context) == Charged(left_out=2)
    assert rate_all(context) == Charged()
    assert town.council.balances(card.payer) == (700, 0)
