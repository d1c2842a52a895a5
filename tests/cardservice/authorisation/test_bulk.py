"""Several messages in one request: each is answered as it would be alone, in the order in which they came."""

from collections.abc import Sequence
from typing import Any

import pytest

from cardservice.authorisation.exchange import DirectExchange
from cardservice.authorisation.found import Found, Wanted
from cardservice.authorisation.views import BULK_PATH
from cardservice.ledger.errors import PostingRefused
from cardservice.ledger.payers import assign_payer
from cardservice.ledger.posting import post
from cardservice.ledger.values import Posting
from tests.support.council import (
    FARE_MINOR,
    Council,
    Terminal,
    advice_of,
    annulment,
    message,
    new_id,
    request_for,
)

URL = "/v1/authorisations"


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A validator."""
    return council.terminal("bus-12")


def bulk(bus: Terminal, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries of the answer."""
    reply = bus.post(BULK_PATH, {"messages": list(messages)})
    assert reply.status == 200, reply.json
    answers: list[dict[str, Any]] = reply.json["answers"]
    return answers


def outcomes(entries: list[dict[str, Any]]) -> list[str]:
    """The reason of each answer, the code of each problem."""
    return [entry["answer"]["reason"] if "answer" in entry else entry["problem"]["code"] for entry in entries]


def test_each_has_its_own_answer(council: Council, bus: Terminal) -> None:
    """Sales, an advice, an annulment, a decline, and refusals among them that cost the others nothing."""
    rich, poor, lost = council.card(top_up_minor=2000), council.card(), council.card(top_up_minor=2000)
    council.revoke(lost)
    other = council.terminal("till-1", "till")
    entries = bulk(
        bus,
        message(request_for(bus, rich), rich),
        message(request_for(other, rich), rich),
        message(request_for(bus, poor), poor),
        {"statement": "AAAA", "details": {}, "details_salt": "A" * 22},
        message(request_for(bus, lost), lost),
        message(advice_of(bus, poor), poor),
        annulment(bus, rich, new_id()),
        message(request_for(bus, rich), rich, details={"from_stop": "x", "to_stop": "y"}),
        message(request_for(bus, rich, card=new_id()), rich),
    )
    assert outcomes(entries) == [
        *("approved", "terminal_mismatch", "insufficient_funds", "statement_malformed", "card_revoked"),
        *("approved", "annulled", "details_mismatch", "card_unknown"),
    ]
    assert entries[3]["problem"]["status"] == 422
    assert council.balances(rich.payer) == (2000 - FARE_MINOR, 0)
    assert council.balances(poor.payer) == (0, -FARE_MINOR)


def test_of_one_payer_in_their_order(council: Council, bus: Terminal) -> None:
    """Money for two of three, by two cards of one family: the first two are paid."""
    one, other = council.card(), council.card()
    council.clock.advance(seconds=1)
    family = council.family(one, top_up_minor=2 * FARE_MINOR)
    with council.context.database.begin() as connection:
        assign_payer(connection, other.holder, family, council.clock(), council.clock())
    council.clock.advance(seconds=1)
    bodies = [message(request_for(bus, card), card) for card in (other, one, other)]
    entries = bulk(bus, *bodies)
    assert outcomes(entries) == ["approved", "approved", "insufficient_funds"]
    assert [entry["answer"]["balances"][-1]["amount_minor"] for entry in entries] == [FARE_MINOR, 0, 0]


def test_repeated(council: Council, bus: Terminal) -> None:
    """Alone, in bulk and twice in one: charged once, and the same answer."""
    card = council.card(top_up_minor=2000)
    body = message(request_for(bus, card), card)
    first, second = bulk(bus, body, body)
    assert (first["answer"]["repeated"], second["answer"]["repeated"]) == (False, True)
    alone = bus.post(URL, body).json
    assert {**alone, "nonce": "", "signed_answer": ""} == {
        **second["answer"],
        "nonce": "",
        "signed_answer": "",
    }
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)


def test_an_annulment_after_its_request(council: Council, bus: Terminal) -> None:
    """In one request, and in this order."""
    card = council.card(top_up_minor=2000)
    statement = request_for(bus, card)
    entries = bulk(bus, message(statement, card), annulment(bus, card, statement.id))
    assert outcomes(entries) == ["approved", "annulled"]
    assert entries[1]["answer"]["amount_minor"] == FARE_MINOR
    assert council.balances(card.payer) == (2000, 0)


def test_what_the_database_refuses_costs_nobody_else(
    council: Council, bus: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that is refused as a whole is posted one by one."""
    cards = [council.card(top_up_minor=2000) for _ in range(3)]

    def refusing(database: Any, postings: Any, **more: Any) -> Any:
        if any(posting.payer_id == cards[1].payer for posting in postings):
            raise PostingRefused("refused by the database: a test")
        return post(database, postings, **more)

    monkeypatch.setattr("cardservice.authorisation.exchange.post", refusing)
    entries = bulk(bus, *(message(request_for(bus, card), card) for card in cards))
    assert outcomes(entries) == ["approved", "internal_error", "approved"]


def test_read_once_and_posted_once(council: Council, bus: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Different payers take one exchange each way, however many they are."""
    cards = [council.card(top_up_minor=2000) for _ in range(5)]
    bodies = [message(request_for(bus, card), card) for card in cards]
    exchanged = []
    real_read, real_post = DirectExchange.read, DirectExchange.post

    def counting_read(exchange: DirectExchange, wanted: Sequence[Wanted]) -> list[Found]:
        exchanged.append(("read", len(wanted)))
        return real_read(exchange, wanted)

    def counting_post(exchange: DirectExchange, postings: Sequence[Posting]) -> Any:
        exchanged.append(("post", len(postings)))
        return real_post(exchange, postings)

    monkeypatch.setattr(DirectExchange, "read", counting_read)
    monkeypatch.setattr(DirectExchange, "post", counting_post)
    assert outcomes(bulk(bus, *bodies)) == ["approved"] * 5
    assert exchanged == [("read", 5), ("post", 5)]


@pytest.mark.parametrize("count", [0, 201])
def test_how_many(bus: Terminal, count: int) -> None:
    notice = {
        "id": str(new_id()),
        "sequence": 1,
        "card": str(new_id()),
        "annuls": str(new_id()),
        "time": "2026-06-15T10:00:00.000Z",
    }
    assert bus.post(BULK_PATH, {"messages": [{"annul": notice}] * count}).outcome == (400, "malformed")


def test_how_long(bus: Terminal) -> None:
    """Half a megabyte; another route takes no more than it did."""
    padding = {"messages": [], "padding": "x" * 100_000}
    assert bus.post(BULK_PATH, padding).outcome == (400, "malformed")
    assert bus.post(URL, padding).outcome == (413, "too_large")
    assert bus.post(BULK_PATH, padding | {"padding": "x" * 600_000}).outcome == (413, "too_large")
