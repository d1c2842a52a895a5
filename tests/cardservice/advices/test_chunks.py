"""A chunk: each entry is answered as it would be alone, whatever else is in it, and charged once."""

from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select

from cardservice.advices.wire import MAX_CHUNK_BYTES, MAX_ENTRIES, join
from cardservice.api.fields import to_base64url
from cardservice.authorisation.exchange import DirectExchange
from cardservice.authorisation.export import fault_of_proof
from cardservice.ledger import chunks_postgresql, chunks_sqlite
from cardservice.ledger.chunk_values import Taken
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.payers import assign_payer
from cardservice.ledger.verify import Report, verify
from cardservice.quarantine.service import held
from pki.statements import Answer, answers_digest, decode_deterministic, open_many_answers
from tests.cardservice.advices.chunk import advice, annulment, answers, outcomes, send, send_bytes
from tests.support.council import (
    FARE_MINOR,
    Card,
    Council,
    Terminal,
    advice_of,
    from_base64url,
    message,
    new_id,
    request_for,
)

URL = "/v1/authorisations"


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A validator."""
    return council.terminal("bus-12")


def forged(card: Card) -> Card:
    """The card's certificate with somebody else's key."""
    return Card(card.id, card.holder, card.payer, ec.generate_private_key(ec.SECP256R1()), card.certificate)


def checked(council: Council) -> Report:
    """The whole ledger verified, every proof among it."""
    context = council.context
    report = verify(context.database, lambda *about: fault_of_proof(context, *about))
    assert report.is_clean, report.findings
    return report


def stored(council: Council) -> int:
    """How many rows the ledger has."""
    with council.context.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(ledger_transaction)).scalar_one()


def test_each_is_answered_as_it_would_be_alone(council: Council, bus: Terminal) -> None:
    """Good, forged, foreign and broken ones, a revoked card, a tap without amount: none costs another."""
    rich, poor, lost = council.card(top_up_minor=2000), council.card(), council.card(top_up_minor=2000)
    early = advice_of(bus, lost)
    council.clock.advance(minutes=1)
    council.revoke(lost)
    other = council.terminal("till-1", "till")
    twice = advice(advice_of(bus, rich), rich)
    entries = [
        advice(advice_of(bus, rich), rich),
        advice(advice_of(bus, rich), forged(rich)),
        advice(advice_of(other, rich), rich),
        b"\x84\x50",
        advice(advice_of(bus, poor), poor),
        advice(advice_of(bus, poor), poor),
        advice(early, lost),
        advice(advice_of(bus, lost), lost),
        advice(advice_of(bus, rich, amount_minor=None), rich),
        twice,
        twice,
        advice(advice_of(bus, rich), rich, {"from_stop": "x"}),
        advice(advice_of(bus, rich, card=new_id()), rich),
        advice(request_for(bus, rich), rich),
        advice(advice_of(bus, rich, action="refund"), rich),
        advice(advice_of(bus, rich, amount_minor=600), rich),
    ]
    found = answers(bus, entries)
    assert outcomes(found) == [
        *("approved", "proof_invalid", "terminal_mismatch", "statement_malformed", "approved", "approved"),
        *("approved", "approved", "approved", "approved", "approved", "details_mismatch", "card_unknown"),
        *("statement_malformed", "role_not_allowed", "approved"),
    ]
    flags = [entry["answer"]["flags"] if "answer" in entry else None for entry in found]
    assert [flags[row] for row in (0, 4, 5, 6, 7, 8, 10, 15)] == [
        *([], ["over_floor"], ["over_floor"], [], ["card_was_revoked"], ["amount_missing"], []),
        ["outside_offline_limits", "price_changed"],
    ]
    assert [found[row]["answer"]["repeated"] for row in (9, 10)] == [False, True]
    assert found[8]["answer"]["amount_minor"] == 0
    assert council.balances(rich.payer) == (2000 - 2 * FARE_MINOR - 600, 0)
    assert council.balances(poor.payer) == (0, -2 * FARE_MINOR)
    # What was told and not posted is kept; what is no message of this terminal at all, too.
    with council.context.database.reading() as connection:
        kept = [each.code for each in held(connection)]
    assert kept == [
        *("proof_invalid", "terminal_mismatch", "statement_malformed", "details_mismatch", "card_unknown"),
        *("statement_malformed", "role_not_allowed"),
    ]
    assert checked(council).proofs_checked == 8
    for row in (0, 5, 8):
        body = message(advice_of(bus, rich), rich) | {"statement": _statement_of(entries[row])}
        alone = bus.post(URL, body).json
        assert alone.pop("repeated")
        assert {**alone, "nonce": "", "signed_answer": ""} == {
            **{name: value for name, value in found[row]["answer"].items() if name != "repeated"},
            "nonce": "",
            "signed_answer": "",
        }


@pytest.mark.parametrize("forged_first", [True, False])
def test_the_proof_of_one_stands_for_no_other_under_its_id(
    council: Council, bus: Terminal, *, forged_first: bool
) -> None:
    """A chunk with the same statement twice, once as another card has signed it: each has its own proof."""
    card = council.card(top_up_minor=2000)
    told = advice_of(bus, card)
    entries = [advice(told, forged(card)), advice(told, card)]
    found = outcomes(answers(bus, entries if forged_first else entries[::-1]))
    # What was posted is answered again, whoever has signed its repetition: the body is the same.
    assert found == (["proof_invalid", "approved"] if forged_first else ["approved", "approved"])
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)
    assert checked(council).proofs_checked == 1


def test_sent_again(council: Council, bus: Terminal) -> None:
    """The same answers, nothing charged; what is new in a second chunk is posted beside what is known."""
    cards = [council.card(top_up_minor=2000) for _ in range(3)]
    entries = [advice(advice_of(bus, card), card) for card in cards * 2]
    first = answers(bus, entries)
    before = stored(council)
    again = answers(bus, [*entries, advice(advice_of(bus, cards[0]), cards[0])])
    assert [entry["answer"] | {"repeated": False} for entry in again[:-1]] == [
        entry["answer"] for entry in first
    ]
    assert [entry["answer"]["repeated"] for entry in again] == [True] * 6 + [False]
    assert stored(council) == before + 1
    assert council.balances(cards[0].payer) == (2000 - 3 * FARE_MINOR, 0)
    assert council.balances(cards[1].payer) == (2000 - 2 * FARE_MINOR, 0)
    other = council.terminal("bus-13")
    assert outcomes(answers(other, entries[:1])) == ["terminal_mismatch"]


def test_posted_together(council: Council, bus: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody contests takes no posting of its own."""
    cards = [council.card(top_up_minor=2000) for _ in range(3)]
    monkeypatch.setattr(DirectExchange, "post", _end)
    found = answers(bus, [advice(advice_of(bus, card), card) for card in cards * 2])
    assert outcomes(found) == ["approved"] * 6


def test_what_the_database_refuses_costs_nobody_else(
    council: Council, bus: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk that is refused as a whole is posted one by one."""
    cards = [council.card(top_up_minor=2000) for _ in range(2)]
    for module in (chunks_postgresql, chunks_sqlite):
        monkeypatch.setattr(module, "_add_up", _refuse)
    assert outcomes(answers(bus, [advice(advice_of(bus, card), card) for card in cards])) == ["approved"] * 2
    checked(council)


def test_the_answers_are_signed_together(council: Council, bus: Terminal) -> None:
    card = council.card(top_up_minor=2000)
    statements = [advice_of(bus, card) for _ in range(2)]
    bad = advice(advice_of(bus, card), forged(card))
    reply = send(bus, [advice(statements[0], card), bad, advice(statements[1], card)])
    keys = council.context.keys
    signed = open_many_answers(
        from_base64url(reply.json["signed_answers"]), keys.answer_key.public_key(), "ashcombe"
    )
    payloads = [
        Answer(
            scheme="ashcombe",
            id=statement.id,
            body=_body(statement),
            decision="approved",
            reason="approved",
            time=council.clock(),
        ).payload()
        for statement in statements
    ]
    assert (signed.terminal, signed.count, signed.digest) == ("bus-12", 2, answers_digest(payloads))


def test_of_one_payer_in_their_order(council: Council, bus: Terminal) -> None:
    """Two cards of one family: each is decided on what those before it have left, and each counts."""
    one, other = council.card(), council.card()
    council.clock.advance(seconds=1)
    family = council.family(one, top_up_minor=FARE_MINOR + 100)
    with council.context.database.begin() as connection:
        assign_payer(connection, other.holder, family, council.clock(), council.clock())
    council.clock.advance(seconds=1)
    before = council.view(family).version
    found = answers(bus, [advice(advice_of(bus, card), card) for card in (other, one, other)])
    assert [entry["answer"]["flags"] for entry in found] == [[], ["over_floor"], ["over_floor"]]
    assert [entry["answer"]["balances"][-1]["amount_minor"] for entry in found] == [100, 0, 0]
    assert council.balances(family) == (0, 100 - 2 * FARE_MINOR)
    assert council.view(family).version == before + 3
    checked(council)


def test_what_stands_for_a_request(council: Council, bus: Terminal) -> None:
    """Approved: a duplicate. Unknown: a tombstone. Declined: posted. Both ids are settled in one posting."""
    rich, poor = council.card(top_up_minor=2000), council.card()
    approved, declined, unknown = request_for(bus, rich), request_for(bus, poor), request_for(bus, rich)
    assert bus.post(URL, message(approved, rich)).outcome == (200, "approved")
    assert bus.post(URL, message(declined, poor)).outcome == (200, "insufficient_funds")
    entries = [
        advice(advice_of(bus, rich), rich),
        annulment(bus, rich, unknown.id),
        advice(advice_of(bus, rich, replaces=unknown.id), rich),
        advice(advice_of(bus, rich, replaces=approved.id), rich),
        annulment(bus, poor, declined.id),
        advice(advice_of(bus, poor, replaces=declined.id), poor),
        annulment(bus, rich, approved.id),
    ]
    expected = [
        "approved",
        "annulled",
        "approved",
        "duplicate",
        "nothing_to_annul",
        "approved",
        "kept_by_duplicate",
    ]
    assert outcomes(answers(bus, entries)) == expected
    assert outcomes(answers(bus, entries)) == expected
    assert bus.post(URL, message(unknown, rich)).outcome == (200, "annulled")
    assert council.balances(rich.payer) == (2000 - 3 * FARE_MINOR, 0)
    assert council.balances(poor.payer) == (0, -FARE_MINOR)
    checked(council)


def test_ended_in_the_middle(council: Council, bus: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are stored and balances are not yet: none of it stands, and the chunk sent again finishes it."""
    cards = [council.card(top_up_minor=2000) for _ in range(2)]
    entries = [advice(advice_of(bus, card), card) for card in cards]
    before = stored(council)
    with monkeypatch.context() as broken:
        for module in (chunks_postgresql, chunks_sqlite):
            broken.setattr(module, "_add_up", _end)
        assert send(bus, entries).outcome == (500, "internal_error")
    assert stored(council) == before
    assert outcomes(answers(bus, entries)) == ["approved"] * 2
    assert [council.balances(card.payer) for card in cards] == [(2000 - FARE_MINOR, 0)] * 2
    checked(council)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_is_no_chunk(council: Council, bus: Terminal) -> None:
    assert send_bytes(bus, b"").outcome == (400, "malformed")
    assert send_bytes(bus, b"\xf5").outcome == (400, "malformed")
    assert send_bytes(bus, join([b"x"])[:-1]).outcome == (400, "malformed")
    assert send_bytes(bus, join([b""]) * (MAX_ENTRIES + 1)).outcome == (400, "malformed")
    assert send(bus, [b"x"], "application/json").outcome == (415, "unsupported_media_type")
    assert send_bytes(bus, bytes(MAX_CHUNK_BYTES + 1)).outcome == (413, "too_large")
    unsigned = council.client.post("/v1/advices", data=join([b"x"]), content_type="application/cbor-seq")
    assert unsigned.get_json()["code"] == "request_signature_missing"


def _end(*_: object) -> None:
    raise RuntimeError("the process ends here")


def _refuse(*_: object) -> None:
    raise Taken("a test")


def _body(statement: Any) -> bytes:
    return sha256(statement.payload()).digest()


def _statement_of(entry: bytes) -> str:
    match decode_deterministic(entry, 70_000):
        case [_, bytes(raw), *_]:
            return to_base64url(raw)
    raise AssertionError
