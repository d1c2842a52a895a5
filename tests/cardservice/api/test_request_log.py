"""The log says what happened, and of whom it says nothing."""

import io
import json
import logging
import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import text
from werkzeug.test import Client

from cardservice.api import request_log
from cardservice.api.hot import HotEndpoint
from cardservice.api.metrics import Counting
from tests.support.council import Council, message, request_for


def test_a_line_for_each_request(council: Council, lines: io.StringIO) -> None:
    """Method, route, status, duration, terminal and problem; not the path."""
    bus = council.terminal("bus-12")
    lines.truncate(0)
    lines.seek(0)
    bus.nonce()
    council.client.get("/pki/bakers.crl")
    entries = [json.loads(line) for line in lines.getvalue().splitlines() if "cardservice.requests" in line]
    kept = ("method", "route", "status", "terminal", "code")
    assert [tuple(entry[name] for name in kept) for entry in entries] == [
        ("GET", "/v1/nonce", 200, "bus-12", None),
        ("GET", "/pki/<issuer>.crl", 404, None, "not_found"),
    ]
    assert all(entry["duration_ms"] >= 0 and entry["at"].endswith("+00:00") for entry in entries)


def test_every_request_has_a_number(
    council: Council, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of ours, whatever the caller says; in its answer and in each of its lines, and in no others."""
    hot = Client(HotEndpoint(council.client.application, council.context))
    monkeypatch.setattr("cardservice.api.public.publication.published", lambda *_: 1 / 0)
    own = {"Request-Id": "the caller's"}
    answered = [
        council.client.get("/pki/trust", headers=own),
        council.client.get("/nowhere", headers=own),
        hot.post("/v1/authorisations", data=b"{}", content_type="application/json", headers=own),
    ]
    logging.getLogger("cardservice.test").warning("of nobody")
    entries = [json.loads(line) for line in lines.getvalue().splitlines()]
    numbers = [answer.headers["Request-Id"] for answer in answered]
    assert len(set(numbers)) == 3
    assert all(re.fullmatch("[0-9a-f]{16}", number) for number in numbers)
    of_first = [entry["event"] for entry in entries if entry.get("request") == numbers[0]]
    assert of_first == ["unexpected error", "request"]
    of_requests = [entry["request"] for entry in entries if entry["logger"] == "cardservice.requests"]
    assert of_requests == numbers
    assert "request" not in next(entry for entry in entries if entry["event"] == "of nobody")


def test_no_person_and_no_secret(council: Council, lines: io.StringIO) -> None:
    """A whole day at the council: names, cards, payers, places and keys are not in the log."""
    registry = CollectorRegistry()
    counting = Counting(registry)
    request_log.log.addHandler(counting)
    desk, bus = council.terminal("desk-1", "issuer"), council.terminal("bus-12")
    card = council.card(top_up_minor=2000)
    body = message(request_for(bus, card), card)
    assert bus.post("/v1/authorisations", body).status == 200
    assert bus.post("/v1/authorisations", {**body, "details": {"from_stop": "x"}}).status == 200
    assert desk.post("/v1/authorisations", body).status == 422
    assert council.client.open(f"/v1/{card.id}", method="MORGAN").status_code == 404
    request_log.log.removeHandler(counting)
    told = generate_latest(registry).decode()
    assert 'method="POST",route="/v1/authorisations",status="200"} 2.0' in told
    assert 'cardservice_problems_total{code="terminal_mismatch"} 1.0' in told
    assert 'method="other",route="none",status="404"} 1.0' in told
    assert not any(word in told for word in ("MORGAN", "desk-1", "bus-12"))
    written = lines.getvalue() + told
    assert "cardservice.requests" in written
    secrets = council.context.keys.cardholder_kek.key(1), council.context.keys.nonces.key
    for told in (
        *("Morgan", str(card.id), card.id.hex, str(card.holder), str(card.payer), "market-place"),
        *(body["statement"], *(secret.hex() for secret in secrets)),
    ):
        assert told not in written


def test_a_database_error_quotes_no_row(council: Council, lines: io.StringIO) -> None:
    """What the database says of an error may hold names; the log has its kind and its place."""
    log = logging.getLogger("cardservice.test")
    try:
        with council.context.database.begin() as connection:
            statement = text("INSERT INTO cardholder (id, name) VALUES ('x', :name)")
            connection.execute(statement, {"name": "Morgan Reed"})
    except Exception:
        log.exception("failed")
    assert "Error" in lines.getvalue()
    assert "test_request_log.py" in lines.getvalue()
    assert "Morgan" not in lines.getvalue()
