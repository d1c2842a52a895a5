"""What may be spent in a day with a service that knows nothing of it: the platform sees to it.

A change of it, or a service switched off, between a decision and its posting holds, too.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection

from cardservice.authorisation import exchange
from cardservice.authorisation.explanation import explain
from cardservice.database import Database
from cardservice.ids import TransactionId
from cardservice.ledger.limits import NewLimit, set_limit, switch_service
from cardservice.ledger.posting import post
from cardservice.ledger.values import Posting, PostingResult
from cardservice.ledger.verify import verify
from cardservice.services.limits import LIFTED
from tests.support.council import FARE_MINOR, Card, Council, Terminal, advice_of, message, request_for

URL = "/v1/authorisations"
RULE = "transport.day"


def limited(council: Council, card: Card, amount_minor: int, *, shared: bool = False) -> None:
    """Limit what is spent on transport in a day, from now on."""
    now = council.clock()
    payer = council.context.database
    with payer.begin() as connection:
        own = NewLimit(card.payer, None if shared else card.holder, RULE, amount_minor)
        set_limit(connection, own, now, now)


def ridden(bus: Terminal, card: Card) -> tuple[str, TransactionId]:
    """What becomes of a ride."""
    wanted = request_for(bus, card)
    return bus.post(URL, message(wanted, card)).outcome[1], TransactionId(wanted.id)


def test_a_day_is_limited_without_the_services_help(council: Council) -> None:
    """2.40 a ride, 5.00 a day: two, and then no more until tomorrow, or until it is lifted; all explained."""
    bus, card = council.terminal("bus-1"), council.card(top_up_minor=5000)
    made = [ridden(bus, card)]
    council.clock.advance(seconds=1)
    limited(council, card, 2 * FARE_MINOR + 20)
    council.clock.advance(seconds=1)
    # What was spent before the first limit was set is not counted.
    made += [ridden(bus, card) for _ in range(3)]
    assert [reason for reason, _ in made] == ["approved", "approved", "approved", "limit_reached"]
    said = bus.post(URL, message(request_for(bus, card), card)).json["message"]
    assert said == "Today's limit for transport does not allow this: 0.20 GBP is left."
    told = advice_of(bus, card)
    assert bus.post(URL, message(told, card)).json["flags"] == ["over_limit"]
    made.append(("", TransactionId(told.id)))
    for _, transaction in made:
        with council.context.database.reading() as connection:
            assert explain(council.context, connection, transaction).differs == ()
    counters = {(each.rule, each.period): each.used for each in council.view(card.payer).counters}
    assert counters == {(RULE, "2026-06-15"): 3 * FARE_MINOR}
    # Midnight in London, an hour before that of UTC.
    council.clock.moment = council.clock.moment.replace(hour=22, minute=59, second=59)
    assert ridden(bus, card)[0] == "limit_reached"
    council.clock.advance(seconds=1)
    assert ridden(bus, card)[0] == "approved"
    limited(council, card, 0)
    council.clock.advance(seconds=1)
    assert ridden(bus, card)[0] == "limit_reached"
    limited(council, card, LIFTED)
    council.clock.advance(seconds=1)
    assert ridden(bus, card)[0] == "approved"
    assert verify(council.context.database).is_clean


def test_a_limit_for_all_whom_a_payer_pays_for(council: Council) -> None:
    bus, one = council.terminal("bus-1"), council.card(top_up_minor=5000)
    with council.context.database.begin() as connection:
        now = council.clock()
        set_limit(connection, NewLimit(one.payer, None, RULE, FARE_MINOR), now, now)
    assert [ridden(bus, one)[0] for _ in range(2)] == ["approved", "limit_reached"]
    asked = message(request_for(bus, one), one)
    assert bus.post(URL, asked).json["message"].startswith("The limit for today of all who share")


Change = Callable[[Connection, Card, Any], None]


def _off(connection: Connection, card: Card, now: Any) -> None:
    switch_service(connection, card.holder, "transport", on=False, moment=now)


def _limit(connection: Connection, card: Card, now: Any) -> None:
    set_limit(connection, NewLimit(card.payer, card.holder, RULE, 0), now, now)


@pytest.mark.parametrize(("change", "reason"), [(_off, "service_off"), (_limit, "limit_reached")])
def test_what_is_changed_between_decision_and_posting_holds(
    council: Council, monkeypatch: pytest.MonkeyPatch, change: Change, reason: str
) -> None:
    """It was approved before; nothing of that is posted, and it is decided anew."""
    bus, card = council.terminal("bus-1"), council.card(top_up_minor=5000)
    decided: list[str] = []

    def meddling(database: Database, postings: Sequence[Posting]) -> Sequence[PostingResult]:
        decided.append(postings[0].transaction.reason)
        if len(decided) == 1:
            with database.begin() as connection:
                change(connection, card, council.clock())
        return post(database, postings)

    monkeypatch.setattr(exchange, "post", meddling)
    assert ridden(bus, card)[0] == reason
    assert decided == ["approved", reason]
    assert council.balances(card.payer) == (5000, 0)
