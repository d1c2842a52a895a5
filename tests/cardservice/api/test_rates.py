"""How often may be asked: of a terminal what it has signed, of an address what nobody has."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client

from cardservice.api.app import create_app
from cardservice.api.hot import HotEndpoint
from cardservice.api.rates import Proxies, Rate
from cardservice.config import load_settings
from cardservice.errors import SettingsInvalid
from tests.cardservice.commands.test_config import GOOD
from tests.support.council import Council, Terminal, message, request_for

NOON = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)


@given(
    per_minute=st.integers(1, 6000),
    gaps_ms=st.lists(st.integers(0, 30_000), min_size=1, max_size=200),
)
def test_no_more_than_two_minutes_worth_in_any_minute(per_minute: int, gaps_ms: list[int]) -> None:
    """A minute's worth may be saved up; beyond that an even pace is kept. Who waits as told is let in."""
    rate, moment = Rate(per_minute), NOON
    taken: list[datetime] = []
    for gap_ms in gaps_ms:
        moment += timedelta(milliseconds=gap_ms)
        if not (wait_s := rate.take("till-1", moment)):
            taken.append(moment)
            continue
        moment += timedelta(seconds=wait_s)
        assert rate.take("till-1", moment) == 0
        taken.append(moment)
    for number, first in enumerate(taken):
        within = [each for each in taken[number:] if each - first < timedelta(minutes=1)]
        assert len(within) <= 2 * per_minute


def test_a_minutes_worth_at_once() -> None:
    """And then one when its turn is; each for itself; 0 is no limit."""
    rate = Rate(60)
    assert [rate.take("a", NOON) for _ in range(60)] == [0] * 60
    assert rate.take("a", NOON) == 1
    assert rate.take("b", NOON) == 0
    assert rate.take("a", NOON + timedelta(seconds=1)) == 0
    assert rate.take("a", NOON + timedelta(seconds=1)) == 1
    endless = Rate(0)
    assert not any(endless.take("a", NOON) for _ in range(100))


def test_a_clock_that_was_set_back_stops_nobody() -> None:
    rate, before = Rate(1), NOON - timedelta(hours=1)
    assert rate.take("a", NOON) == 0
    assert rate.take("a", before) == 0
    assert rate.take("a", before) == 60


def test_whoever_has_not_asked_for_longest_is_forgotten() -> None:
    """Memory is bounded, whoever asks."""
    rate = Rate(1, most_keys=2)
    assert [rate.take(key, NOON) for key in ("a", "b", "a", "c", "a", "b")] == [0, 0, 60, 0, 60, 0]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "asking"),
    [
        ("127.0.0.1", "", None),
        ("", "", None),
        ("::1", "", None),
        ("203.0.113.9", "", "203.0.113.9"),
        # Whoever is no proxy of ours may say what it likes.
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("", "203.0.113.9", "203.0.113.9"),
        # The last that no proxy of ours has written for is the one; what stands before it anybody may have.
        ("127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.4", "198.51.100.1, 203.0.113.9, 10.0.0.4", "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1", None),
        ("127.0.0.1", "somebody", "unreadable"),
        ("127.0.0.1", "198.51.100.1, unknown", "unreadable"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "", "203.0.113.9"),
        ("::ffff:10.0.0.4", "203.0.113.9", "203.0.113.9"),
    ],
)
def test_who_asks(peer: str, forwarded_for: str, asking: str | None) -> None:
    assert Proxies("10.0.0.4, 127.0.0.1").asking(peer, forwarded_for) == asking


@dataclass(frozen=True, slots=True)
class Few:
    """A service that takes three requests a minute."""

    council: Council
    app: Flask
    bus: Terminal

    def behind(self, address: str) -> dict[str, str]:
        """What the reverse proxy says."""
        return {"X-Forwarded-For": address}


@pytest.fixture
def few(council: Council) -> Few:
    settings = replace(council.context.settings, terminal_limit=3, address_limit=3)
    app = create_app(replace(council.context, settings=settings))
    bus = council.terminal("bus-12")
    bus.client = app.test_client()
    return Few(council, app, bus)


only_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@only_sqlite
def test_a_terminal(few: Few) -> None:
    """The fourth in a minute is told when to come again, by either way in; another one is served."""
    card = few.council.card(top_up_minor=2000)
    other = few.council.terminal("bus-13")
    other.client = few.bus.client
    body = message(request_for(few.bus, card), card)
    assert few.bus.post("/v1/authorisations", body).status == 200
    assert few.bus.get("/v1/nonce").status == 200
    assert few.bus.get("/v1/nonce").outcome == (429, "too_many_requests")
    assert few.bus.post("/v1/authorisations", body).json["retry_after_s"] == 20
    assert other.get("/v1/nonce").status == 200
    few.bus.clock.advance(seconds=20)
    assert few.bus.post("/v1/authorisations", body).json["repeated"] is True


@only_sqlite
def test_before_flask_as_in_it(few: Few, caplog: pytest.LogCaptureFixture) -> None:
    """Status, headers and the log's line, which names the terminal; nothing is noted in the database."""
    caplog.set_level("INFO", "cardservice.requests")
    few.bus.client = Client(HotEndpoint(few.app, few.council.context))  # type: ignore[assignment]  # asks alike
    card = few.council.card()
    body = message(request_for(few.bus, card, nonce=b"\0" * 16), card)
    for _ in range(3):
        assert few.bus.post("/v1/authorisations", body).status == 200
    assert few.bus.post("/v1/authorisations", body).outcome == (429, "too_many_requests")
    assert few.bus.post("/v1/authorisations/bulk", {"messages": [body]}).status == 429
    last = caplog.records[-1].members  # type: ignore[attr-defined]  # the log's own
    assert (last["terminal"], last["code"], last["status"]) == ("bus-12", "too_many_requests", 429)


@only_sqlite
@pytest.mark.parametrize(
    "path", ["/pki/trust", "/pki/cards.crl", "/pki/ocsp/AA==", "/openapi.json", "/nowhere"]
)
def test_an_address(few: Few, path: str) -> None:
    """What anybody may ask is counted together; health is not."""
    client = few.app.test_client()
    for _ in range(3):
        assert client.get(path, headers=few.behind("203.0.113.9")).status_code in {200, 404}
    refused = client.get("/pki/trust", headers=few.behind("203.0.113.9"))
    assert (refused.status_code, refused.get_json()["code"]) == (429, "too_many_requests")
    assert refused.headers["Retry-After"] == "20"
    for _ in range(5):
        assert client.get("/healthz/live", headers=few.behind("203.0.113.9")).status_code == 200
        assert client.get("/healthz/ready", headers=few.behind("203.0.113.9")).status_code == 200
        # This machine's own, and who has another address.
        assert client.get("/pki/trust").status_code == 200
    assert client.get(path, headers=few.behind("203.0.113.10")).status_code in {200, 404}


@only_sqlite
@pytest.mark.parametrize("wrap", [lambda app, _: app, HotEndpoint], ids=["flask", "hot"])
def test_nobody_uses_up_what_another_may_ask(few: Few, wrap: Callable[..., Flask]) -> None:
    """Who names a terminal without its key is stopped; the terminal is not, from the same address."""
    client = Client(wrap(few.app, few.council.context))
    card = few.council.card(top_up_minor=2000)
    body = message(request_for(few.bus, card), card)
    forged = {**few.behind("203.0.113.9"), "Signature": "sig1=:AA==:", "Signature-Input": "sig1=()"}
    statuses = [client.post("/v1/authorisations", json=body, headers=forged).status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    few.bus.client.environ_base["HTTP_X_FORWARDED_FOR"] = "203.0.113.9"
    assert few.bus.post("/v1/authorisations", body).outcome == (200, "approved")


@pytest.mark.parametrize("value", ["-1", "many", "1.5", ""])
@pytest.mark.parametrize("name", ["terminal_limit", "address_limit"])
def test_a_limit_that_is_none_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load_settings({**GOOD, f"CARDSERVICE_{name.upper()}": value})
    assert refused.value.setting == name
