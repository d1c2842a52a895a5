"""What follows the commit, on a Citus cluster: numbers, sums, seals, rated days, and verification."""

import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from cardservice.ids import ProviderId
from cardservice.ledger.closing import rounds
from cardservice.ledger.closing.models import ledger_sequence
from cardservice.ledger.closing.rollups import turnover
from cardservice.ledger.closing.sequencing import read_position, sequence
from cardservice.ledger.errors import SequenceHeld
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.values import provider_payable
from cardservice.tariffs.service import store_tariff
from cardservice.upkeep import calendar_of, keep_up
from pki.statements import details_hmac
from tests.cardservice.cluster.conftest import Divided
from tests.cardservice.services.travels import load_travel
from tests.support.council import (
    ACTOR,
    FARE_MINOR,
    SALT,
    Card,
    Terminal,
    advice_of,
    annulment,
    message,
    request_for,
)

pytestmark = pytest.mark.long

URL = "/v1/authorisations"
PAYABLE = provider_payable(ProviderId("vale-buses"))


def test_a_round_numbers_adds_up_and_seals(divided: Divided) -> None:
    """Everything once, whichever node it lies on; then the day is sealed, and all of it holds."""
    council = divided.council
    terminal = council.terminal("worked")
    before = _owed(divided)
    for card in divided.cards:
        assert _pay(terminal, card).outcome == (200, "approved")
    assert _owed(divided) == before + FARE_MINOR * len(divided.cards)
    # With what was paid in.
    assert keep_up(council.context).numbered == 2 * len(divided.cards)
    assert keep_up(council.context).numbered == 0
    assert _owed(divided) == before + FARE_MINOR * len(divided.cards)
    council.clock.advance(days=1)
    assert len(keep_up(council.context).sealed) == 1
    _verify(divided)


def test_what_is_given_back_annulled_and_owed(divided: Divided) -> None:
    """What triggers of the nodes look at, and a card whose payers lie on two nodes."""
    council = divided.council
    terminal = council.terminal("given-back")
    poor = council.card(top_up_minor=FARE_MINOR)
    assert _pay(terminal, poor).outcome == (200, "approved")
    assert terminal.post(URL, message(advice_of(terminal, poor), poor)).status == 200
    assert council.balances(poor.payer) == (0, -FARE_MINOR)
    rich = council.card(top_up_minor=3000)
    asked = request_for(terminal, rich)
    assert terminal.post(URL, message(asked, rich)).outcome == (200, "approved")
    assert terminal.post(URL, annulment(terminal, rich, asked.id)).outcome == (200, "annulled")
    assert council.balances(rich.payer)[0] == 3000
    for number in range(4):
        # Some of these families lie in the shard of the payer before, most do not.
        moved = council.card(top_up_minor=1000)
        council.clock.advance(seconds=1)
        family = council.family(moved, top_up_minor=5000)
        statement = request_for(terminal, moved)
        assert terminal.post(URL, message(statement, moved)).outcome == (200, "approved"), number
        assert terminal.post(URL, message(statement, moved)).outcome == (200, "approved"), number
        assert council.balances(family)[0] == 5000 - FARE_MINOR
    refunded = request_for(terminal, rich)
    assert terminal.post(URL, message(refunded, rich)).outcome == (200, "approved")
    divided.stack.run("cardservice", "refund", str(refunded.id), "--amount", "1.00")
    assert council.balances(rich.payer)[0] == 3000 - FARE_MINOR + 100
    keep_up(council.context)
    year = ("--from", "2026-01-01", "--to", "2099-12-31")
    told = divided.stack.run("cardservice", "payer", "statement", str(rich.payer), *year, "--json")
    assert told.json["closing"]["prepaid_minor"] == council.balances(rich.payer)[0]
    _verify(divided)


def test_what_commits_late_is_numbered_then(divided: Divided) -> None:
    """A round begins for a node once all that was under way there is over, and never before."""
    context = divided.council.context
    keep_up(context)
    with context.database.reading() as connection:
        before = read_position(connection).posted_below
    card = divided.cards[0]
    node = divided.cluster.node_url(1)
    with psycopg.connect(node) as held:
        held.execute("SELECT pg_current_xact_id()")
        for number in range(3):
            assert _pay(divided.council.terminal(f"held-{number}"), card).outcome == (200, "approved")
            assert sequence(context.database, calendar_of(context)) == 1
        with context.database.reading() as connection:
            assert read_position(connection).posted_below <= before + 1
    for number in range(3):
        assert _pay(divided.council.terminal(f"free-{number}"), card).outcome == (200, "approved")
        assert sequence(context.database, calendar_of(context)) == 1
    with context.database.reading() as connection:
        assert read_position(connection).posted_below > before + 1
    _verify(divided)


def test_numbered_and_verified_under_load(divided: Divided) -> None:
    """While sales are posted at both nodes everything gets its number once, and nothing is found wrong."""
    context, enough = divided.council.context, threading.Event()
    failed: list[object] = []
    terminals = [divided.council.terminal(f"loaded-{number}") for number in range(2)]

    def ride(terminal: Terminal, cards: tuple[Card, ...]) -> None:
        while not enough.is_set():
            for card in cards:
                answer = _pay(terminal, card)
                if answer.outcome != (200, "approved"):
                    failed.append(answer)

    half = len(divided.cards) // 2
    riders = [
        threading.Thread(target=ride, args=(terminal, divided.cards[at : at + half]))
        for terminal, at in zip(terminals, (0, half), strict=True)
    ]
    for rider in riders:
        rider.start()
    numbered = 0
    try:
        for _ in range(10):
            numbered += sequence(context.database, calendar_of(context))
        _verify(divided)
    finally:
        enough.set()
        for rider in riders:
            rider.join()
    numbered += sequence(context.database, calendar_of(context))
    assert not failed
    assert numbered > 0
    with context.database.reading() as connection:
        stored = connection.scalar(select(func.count()).select_from(ledger_transaction))
        assert connection.scalar(select(func.count()).select_from(ledger_sequence)) == stored
    _verify(divided)


def test_nothing_is_numbered_while_it_is_compared(divided: Divided) -> None:
    context = divided.council.context
    with rounds.pause(context.database), pytest.raises(SequenceHeld):
        sequence(context.database, calendar_of(context))
    assert sequence(context.database, calendar_of(context)) == 0


def test_a_days_taps_are_charged(divided: Divided, tmp_path: Path) -> None:
    """Last: the fares of the trips before are not in force any more."""
    council = divided.council
    with council.context.database.begin() as connection:
        store_tariff(
            connection, "transport", load_travel(tmp_path), source="feed", actor=ACTOR, moment=council.clock()
        )
    council.clock.advance(seconds=1)
    terminal, card = council.terminal("tapped"), council.card(top_up_minor=3000)
    for action, stop in (("tap-in", "a1"), ("tap-out", "b1")):
        assert _tap(terminal, card, action, stop) == (200, "approved")
        council.clock.advance(minutes=5)
    assert keep_up(council.context).rated == 1
    assert council.balances(card.payer)[0] == 2900
    assert keep_up(council.context).rated == 0
    _verify(divided)


def _pay(terminal: Terminal, card: Card) -> Any:
    return terminal.post(URL, message(request_for(terminal, card), card))


def _tap(terminal: Terminal, card: Card, action: str, stop: str) -> tuple[int, str]:
    details = {"stop": stop}
    said = request_for(
        terminal, card, action=action, amount_minor=None, details_hmac=details_hmac(SALT, details)
    )
    return terminal.post(URL, message(said, card, details=details)).outcome


def _owed(divided: Divided) -> int:
    with divided.council.context.database.reading() as connection:
        found = turnover(connection, PAYABLE).get("GBP")
    return 0 if found is None else found.balance_minor


def _verify(divided: Divided) -> None:
    report = divided.stack.run("cardservice", "ledger", "verify", "--whole", "--json").json
    assert report["findings"] == [], report
