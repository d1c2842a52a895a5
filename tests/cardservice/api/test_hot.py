"""What is served before Flask is what Flask's view answers, to the byte, and in the log."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from cardservice.api.hot import PATH, HotEndpoint
from cardservice.authorisation.views import BULK_PATH
from pki.request_signatures import sign_request
from tests.support.council import (
    ORIGIN,
    Card,
    Council,
    Terminal,
    advice_of,
    annulment,
    message,
    new_id,
    request_for,
)

Ask = Callable[[Council, Terminal, Card], tuple[bytes, dict[str, str]]]
# They are made anew each time, and name the moment.
CHANGING = ("nonce", "signed_answer")


def signed(bus: Terminal, body: bytes, path: str = PATH, **headers: str) -> dict[str, str]:
    """The headers of a signed request."""
    content = {"Content-Type": "application/json", **headers}
    return sign_request("POST", ORIGIN + path, content, body, bus.key, bus.id, bus.clock())


def of(body: object) -> Ask:
    """A request with this body, or with this text."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _, bus, __: (data, signed(bus, data))


def _sale(_: Council, bus: Terminal, card: Card) -> tuple[bytes, dict[str, str]]:
    data = json.dumps(message(request_for(bus, card), card)).encode()
    return data, signed(bus, data)


def _advice(_: Council, bus: Terminal, card: Card) -> tuple[bytes, dict[str, str]]:
    data = json.dumps(message(advice_of(bus, card), card)).encode()
    return data, signed(bus, data)


def _annulment(_: Council, bus: Terminal, card: Card) -> tuple[bytes, dict[str, str]]:
    data = json.dumps(annulment(bus, card, new_id())).encode()
    return data, signed(bus, data)


def _declined(_: Council, bus: Terminal, card: Card) -> tuple[bytes, dict[str, str]]:
    data = json.dumps(message(request_for(bus, card, amount_minor=1), card)).encode()
    return data, signed(bus, data)


def _unsigned(_: Council, bus: Terminal, card: Card) -> tuple[bytes, dict[str, str]]:
    return json.dumps(annulment(bus, card, new_id())).encode(), {"Content-Type": "application/json"}


def _unknown_terminal(_: Council, bus: Terminal, card: Card) -> tuple[bytes, dict[str, str]]:
    data = json.dumps(annulment(bus, card, new_id())).encode()
    content = {"Content-Type": "application/json"}
    return data, sign_request("POST", ORIGIN + PATH, content, data, bus.key, "nobody", bus.clock())


def _changed_body(_: Council, bus: Terminal, card: Card) -> tuple[bytes, dict[str, str]]:
    data = json.dumps(annulment(bus, card, new_id())).encode()
    return data + b" ", signed(bus, data)


def _text(_: Council, bus: Terminal, __: Card) -> tuple[bytes, dict[str, str]]:
    return b"hello", signed(bus, b"hello", **{"Content-Type": "text/plain"})


ASKS: dict[str, Ask] = {
    "sale": _sale,
    "advice": _advice,
    "annulment": _annulment,
    "decline": _declined,
    "unsigned": _unsigned,
    "unknown terminal": _unknown_terminal,
    "changed body": _changed_body,
    "another media type": _text,
    "no JSON": of(b"{"),
    "a name twice": of(b'{"annul": {}, "annul": {}}'),
    "another shape": of({"annul": {"id": "x"}, "more": 1}),
    "no object": of([1]),
    "malformed statement": of({"statement": "AAAA", "details": {}, "details_salt": "A" * 22}),
    "too long": of(b" " * 70_000),
}


def _many(council: Council, bus: Terminal, card: Card) -> bytes:
    """A sale, an annulment, a refusal and a decline, in one body."""
    poor, other = council.card(), council.terminal("till-1", "till")
    messages = [
        message(request_for(bus, card), card),
        annulment(bus, card, new_id()),
        message(request_for(other, card), card),
        message(request_for(bus, poor), poor),
    ]
    return json.dumps({"messages": messages}).encode()


BULK_ASKS: dict[str, Callable[[Council, Terminal, Card], bytes]] = {
    "many": _many,
    "sales alone": lambda _, bus, card: json.dumps(
        {"messages": [message(request_for(bus, card), card) for _ in range(2)]}
    ).encode(),
    "none": lambda *_: b'{"messages": []}',
    "another shape among them": lambda *_: b'{"messages": [{"statement": "AAAA"}, 1]}',
    "no object": lambda *_: b"[]",
    "long": lambda *_: b" " * 70_000 + b"{",
    "too long": lambda *_: b" " * 600_000,
}


@pytest.mark.parametrize("ask", list(BULK_ASKS))
def test_several_the_same_as_flask(council: Council, caplog: pytest.LogCaptureFixture, ask: str) -> None:
    caplog.set_level("INFO", "cardservice.requests")
    app = council.client.application
    bus, card = council.terminal("bus-12"), council.card(top_up_minor=2000)
    body = BULK_ASKS[ask](council, bus, card)
    headers = signed(bus, body, BULK_PATH)
    clients = (app.test_client(), Client(HotEndpoint(app, council.context)))
    # Both repeat what was answered before them.
    clients[1].post(BULK_PATH, data=body, headers=headers)
    caplog.clear()
    flask, hot = (client.post(BULK_PATH, data=body, headers=headers) for client in clients)
    assert (hot.status, hot.headers["Content-Type"]) == (flask.status, flask.headers["Content-Type"])
    assert _entries(hot) == _entries(flask)
    lines = [{**getattr(record, "members", {}), "duration_ms": 0} for record in caplog.records]
    half = len(lines) // 2
    assert half > 0
    assert lines[:half] == lines[half:]


@pytest.mark.parametrize("ask", list(ASKS))
def test_the_same_as_flask(council: Council, caplog: pytest.LogCaptureFixture, ask: str) -> None:
    """First the one and then the other is asked, or, of what takes an id, repeated."""
    caplog.set_level("INFO", "cardservice.requests")
    app = council.client.application
    bus, card = council.terminal("bus-12"), council.card(top_up_minor=2000)
    body, headers = ASKS[ask](council, bus, card)
    clients = (app.test_client(), Client(HotEndpoint(app, council.context)))
    if ask in {"sale", "advice", "annulment", "decline"}:
        # Both repeat what was answered before them.
        clients[1].post(PATH, data=body, headers=headers)
    caplog.clear()
    flask, hot = (client.post(PATH, data=body, headers=headers) for client in clients)
    assert hot.status == flask.status
    assert _told(hot) == _told(flask)
    assert {name: hot.headers.get(name) for name in ("Content-Type", "Retry-After")} == {
        name: flask.headers.get(name) for name in ("Content-Type", "Retry-After")
    }
    lines = [
        (record.getMessage(), {**getattr(record, "members", {}), "duration_ms": 0})
        for record in caplog.records
    ]
    half = len(lines) // 2
    assert half > 0
    assert lines[:half] == lines[half:]


def test_served_before_flask(council: Council, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flask is not asked; for everything else it is."""
    app = council.client.application
    bus, card = council.terminal("bus-12"), council.card(top_up_minor=2000)
    body, headers = _sale(council, bus, card)
    client = Client(HotEndpoint(app, council.context))
    with monkeypatch.context() as patch:
        patch.setattr(type(app), "wsgi_app", lambda *_: pytest.fail("Flask was asked"))
        assert client.post(PATH, data=body, headers=headers).get_json()["decision"] == "approved"
        many = json.dumps({"messages": [json.loads(body)]}).encode()
        answers = client.post(BULK_PATH, data=many, headers=signed(bus, many, BULK_PATH)).get_json()[
            "answers"
        ]
        assert [entry["answer"]["repeated"] for entry in answers] == [True]
    assert client.get("/healthz/live").get_json() == {"status": "live"}
    assert client.get(PATH).status_code == 405


def _entries(response: TestResponse) -> Any:
    """What was answered, of each message, without what changes each time."""
    told = response.get_json(force=True)
    if "answers" not in told:
        return told
    return [
        {
            kind: {name: len(value) if name in CHANGING else value for name, value in document.items()}
            for kind, document in entry.items()
        }
        for entry in told["answers"]
    ]


def _told(response: TestResponse) -> dict[str, Any]:
    told = response.get_json(force=True)
    assert isinstance(told, dict)
    # Nothing is lost on the way: what changes each time is there, and as long as it was.
    return {name: len(value) if name in CHANGING else value for name, value in told.items()}
