"""The log says what happened, and of whom it says nothing."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from cardservice.api.request_log import JsonLines
from tests.support.council import Council, message, request_for


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """All that the service logs, as it is written in production."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


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


def test_no_person_and_no_secret(council: Council, lines: io.StringIO) -> None:
    """A whole day at the council: names, cards, payers, places and keys are not in the log."""
    desk, bus = council.terminal("desk-1", "issuer"), council.terminal("bus-12")
    card = council.card(top_up_minor=2000)
    body = message(request_for(bus, card), card)
    assert bus.post("/v1/authorisations", body).status == 200
    assert bus.post("/v1/authorisations", {**body, "details": {"from_stop": "x"}}).status == 200
    assert desk.post("/v1/authorisations", body).status == 422
    written = lines.getvalue()
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
