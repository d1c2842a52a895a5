"""What terminals send again is taken by the service's own answer, once, and only in a recovery."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from cardservice.api.fields import to_base64url
from cardservice.authorisation.explanation import explain
from cardservice.authorisation.messages import read_statement
from cardservice.context import Context
from cardservice.database import Database
from cardservice.ledger.verify import verify
from cardservice.recovery import service as recovery
from cardservice.recovery.errors import RecoveryOpen, TerminalsMissing
from cardservice.recovery.gate import Gate
from cardservice.upkeep import calendar_of, keep_up
from pki.statements import Answer, sign_answer
from tests.support.council import (
    FARE_MINOR,
    Card,
    Council,
    Terminal,
    advice_of,
    annulment,
    from_base64url,
    message,
    request_for,
)


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A bus."""
    return council.terminal("bus-12")


@pytest.fixture
def card(council: Council) -> Card:
    """Somebody's, with money for two fares."""
    return council.card(top_up_minor=2 * FARE_MINOR)


def begin(council: Council) -> recovery.Recovery:
    """After a restore: what the tests send again was never posted here, which is as good as lost."""
    return recovery.begin(council.context, calendar_of(council.context), (), reason="restored", actor="test")


def answered(
    council: Council, bus: Terminal, card: Card, decision: str = "approved", **changes: Any
) -> dict[str, Any]:
    """A request as the outbox has it: with the answer that the service signed before it was lost."""
    statement = request_for(bus, card, **changes)
    body = message(statement, card)
    reason = "approved" if decision == "approved" else "insufficient_funds"
    answer = Answer(
        scheme="ashcombe",
        id=statement.id,
        body=_body(body),
        decision=decision,
        reason=reason,
        time=council.clock(),
    )
    keys = council.context.keys
    signed = sign_answer(answer, keys.answer_key, keys.answer_certificate_sha256)
    return {**body, "signed_answer": to_base64url(signed)}


def _body(body: dict[str, Any]) -> bytes:
    return read_statement(from_base64url(body["statement"]), {}, b"").body


def send(bus: Terminal, *messages: dict[str, Any], complete: bool = False) -> Any:
    """What the service answers to these."""
    return bus.post("/v1/recovery/messages", {"messages": list(messages), "complete": complete})


def outcomes(bus: Terminal, *messages: dict[str, Any]) -> list[str]:
    """The reason or problem of each."""
    reply = send(bus, *messages)
    assert reply.status == 200, reply.json
    return [
        str(one["answer"]["reason"] if "answer" in one else one["problem"]["code"])
        for one in reply.json["answers"]
    ]


def test_what_was_approved_is_posted_once_whatever_speaks_against_it_now(
    council: Council, bus: Terminal, card: Card
) -> None:
    """The card was revoked, the nonce is stale, and money is there for two of three: it was approved."""
    sent = [answered(council, bus, card) for _ in range(3)]
    council.revoke(card)
    council.clock.advance(days=1)
    begin(council)
    assert outcomes(bus, *sent, sent[0]) == ["approved"] * 4
    assert council.balances(card.payer) == (0, -FARE_MINOR)
    assert outcomes(bus, *sent) == ["approved"] * 3
    assert council.balances(card.payer) == (0, -FARE_MINOR)
    with council.context.database.reading() as connection:
        state = recovery.state(connection)
        ids = connection.execute(text("SELECT transaction_id FROM recovered_message")).scalars().all()
        explained = explain(council.context, connection, UUID(str(ids[0])))
    assert (dict(state.back), state.missing) == ({"approved": 3}, ("bus-12",))
    assert explained.agrees, explained.differs
    assert verify(council.context.database).findings == ()


def test_what_was_declined_stays_so(council: Council, bus: Terminal, card: Card) -> None:
    begin(council)
    assert outcomes(bus, answered(council, bus, card, "declined")) == ["insufficient_funds"]
    assert council.balances(card.payer) == (2 * FARE_MINOR, 0)


def test_advices_and_annulments_need_no_answer(council: Council, bus: Terminal, card: Card) -> None:
    begin(council)
    advice = message(advice_of(bus, card), card)
    lost = request_for(bus, card)
    assert outcomes(bus, advice, annulment(bus, card, lost.id), advice) == [
        "approved",
        "annulled",
        "approved",
    ]
    assert council.balances(card.payer) == (FARE_MINOR, 0)


def test_refused(council: Council, bus: Terminal, card: Card) -> None:
    """Nothing is posted on a word that is not the service's, or was said of something else."""
    begin(council)
    good = answered(council, bus, card)
    other = answered(council, bus, card)
    bare = {name: value for name, value in good.items() if name != "signed_answer"}
    raw = bytearray(from_base64url(good["signed_answer"]))
    raw[-1] ^= 1
    stolen = {**good, "details": {"from_stop": "market-place", "to_stop": "market-place"}}
    sent = (
        bare,
        {**good, "signed_answer": other["signed_answer"]},
        {**good, "signed_answer": to_base64url(bytes(raw))},
        {**good, "signed_answer": "AAAA"},
        stolen,
    )
    assert outcomes(bus, *sent) == ["answer_missing", *["answer_invalid"] * 3, "details_mismatch"]
    assert outcomes(council.terminal("bus-13"), good) == ["terminal_mismatch"]
    assert council.balances(card.payer) == (2 * FARE_MINOR, 0)
    assert outcomes(bus, good) == ["approved"]


def test_only_while_a_recovery_is_open(council: Council, bus: Terminal, card: Card) -> None:
    sent = answered(council, bus, card)
    assert bus.get("/v1/recovery").json == {"recovery": None, "since": None}
    assert send(bus, sent).outcome == (409, "not_recovering")
    begun = begin(council)
    with pytest.raises(RecoveryOpen):
        begin(council)
    assert bus.get("/v1/recovery").json["recovery"] == begun.number
    assert outcomes(bus, sent) == ["approved"]
    with pytest.raises(TerminalsMissing, match="bus-12"):
        recovery.finish(council.context, actor="test")
    assert send(bus, complete=True).json == {"answers": []}
    assert recovery.finish(council.context, actor="test").complete == ("bus-12",)
    assert send(bus, sent).outcome == (409, "not_recovering")


def test_requests_wait_and_no_day_is_sealed(council: Council, card: Card, bus: Terminal) -> None:
    """What is known is answered, what is told afterwards is taken; the gate opens when it is finished."""
    before = message(request_for(bus, card), card)
    assert bus.post("/v1/authorisations", before).outcome == (200, "approved")
    begin(council)
    gate = Gate(council.context.database)
    object.__setattr__(council.context, "gate", gate)
    assert bus.post("/v1/authorisations", before).outcome == (200, "approved")
    new = message(request_for(bus, card), card)
    assert bus.post("/v1/authorisations", new).outcome == (503, "recovering")
    assert bus.post("/v1/authorisations", message(advice_of(bus, card), card)).outcome == (200, "approved")
    council.clock.advance(days=2)
    assert keep_up(council.context).sealed == ()
    recovery.finish(council.context, actor="test", anyway=True)
    object.__setattr__(council.context, "gate", Gate(council.context.database))
    assert len(keep_up(council.context).sealed) == 2


def test_a_process_that_starts_without_a_recovery_never_looks(context: Context, database: Database) -> None:
    gate = Gate(database)
    recovery.begin(context, calendar_of(context), (), reason="restored", actor="test")
    assert not gate.is_recovering()
    assert Gate(database).is_recovering()


def test_since_when(council: Council, bus: Terminal, card: Card) -> None:
    """From an hour before what was posted last."""
    posted = council.clock()
    council.clock.advance(days=3)
    assert begin(council).since == posted - timedelta(hours=1)
