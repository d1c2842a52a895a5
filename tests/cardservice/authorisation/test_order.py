"""The one order of the checks: whoever fails several is told of the first, at each door of the service."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import Client

from cardservice.api.hot import PATH, HotEndpoint
from cardservice.cards import service as cards
from cardservice.cards.states import CardState
from pki.request_signatures import sign_request
from tests.support.council import ACTOR, ORIGIN, Card, Council, Terminal, message, new_id, request_for

# By docs/api.md ("The order of the checks"): the number of each, and what is told where it fails first.
LADDER = (
    ("1 its shape", "malformed"),
    ("2 the terminal's signature", "request_signature_invalid"),
    ("2 the statement", "statement_malformed"),
    ("2 the terminal's state", "terminal_revoked"),
    ("2 at which terminal", "terminal_mismatch"),
    ("3 its role", "role_not_allowed"),
    ("4 the id", "id_conflict"),
    ("5 the proof", "proof_invalid"),
    ("5 the details", "details_mismatch"),
    ("6 the card's state", "card_suspended"),
    ("7 the nonce", "stale"),
    ("8 the rules", "price_changed"),
    ("9 the floor", "insufficient_funds"),
)


@pytest.mark.parametrize("door", ["flask", "hot"])
def test_the_first_that_fails_is_told(council: Council, door: str) -> None:
    """Each check in turn is the first to fail, and everything after it is wrong as well."""
    app = council.client.application
    client = Client(HotEndpoint(app, council.context)) if door == "hot" else council.client
    other = council.card()
    told = []
    for number in range(len(LADDER)):
        bus, card = council.terminal(f"bus-{number}"), council.card()
        wrong = {name for name, _ in LADDER[number:]}
        body, signer = _wrong(council, bus, card, other, wrong)
        headers = sign_request(
            *("POST", ORIGIN + PATH, {"Content-Type": "application/json"}, body),
            *(signer.key, bus.id, council.clock()),
        )
        answer = client.post(PATH, data=body, headers=headers).get_json(force=True)
        told.append((LADDER[number][0], answer.get("code") or answer["reason"]))
    assert told == list(LADDER)


def _wrong(
    council: Council, bus: Terminal, card: Card, other: Card, wrong: set[str]
) -> tuple[bytes, Terminal]:
    """A request with all of this wrong, and who signs it."""
    changes: dict[str, Any] = {"id": new_id()}
    if "4 the id" in wrong:
        taken = request_for(bus, card, id=changes["id"])
        assert bus.post(PATH, message(taken, card)).outcome == (200, "insufficient_funds")
    if "7 the nonce" in wrong:
        old = council.clock() - timedelta(seconds=121)
        changes["nonce"] = council.context.keys.nonces.make(bus.id, old)  # type: ignore[arg-type] # an id
    if "8 the rules" in wrong:
        changes["amount_minor"] = 1
    if "3 its role" in wrong:
        changes |= {"service": "meals", "action": "sale"}
    if "2 at which terminal" in wrong:
        changes["terminal"] = "bus-99"
    statement = request_for(bus, card, **changes)
    if "6 the card's state" in wrong:
        with council.context.database.begin() as connection:
            known, now = cards.require_card(connection, card.id), council.clock()
            cards.change_state(
                connection, known, CardState.SUSPENDED, reason="asked", actor=ACTOR, moment=now
            )
    if "2 the terminal's state" in wrong:
        council.revoke_terminal(bus.id)
    signer = replace(card, key=other.key) if "5 the proof" in wrong else card
    body = message(statement, signer)
    if "5 the details" in wrong:
        body["details"] = {"to_stop": "elsewhere"}
    if "2 the statement" in wrong:
        body["statement"] = "oWEA"
    data = b"[" if "1 its shape" in wrong else json.dumps(body).encode()
    return data, replace(bus, key=other.key) if "2 the terminal's signature" in wrong else bus
