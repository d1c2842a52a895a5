"""How terminals are: said over HTTP, kept as it was said last, shown by the command's own function."""

from datetime import timedelta
from typing import Any

from cardservice.terminals.health import list_terminals
from tests.support.council import START, Council


def said(**changes: Any) -> dict[str, Any]:
    """What a terminal says whose clock is three seconds ahead."""
    return {
        "time": "2026-06-15T10:00:03.000Z",
        "waiting": 2,
        "oldest_waiting_at": "2026-06-15T09:00:00.000Z",
        "trust_fetched_at": "2026-06-15T09:58:00.000Z",
        "lists_end_at": None,
        "version": "0.1",
        "tariffs": {"meals": "2026-06-01-abc"},
        **changes,
    }


def test_what_is_said_last_counts(council: Council) -> None:
    """Clock, outbox, lists and tariffs; of one that has said nothing that it has not."""
    bus, _ = council.terminal("bus-1"), council.terminal("bus-2")
    assert bus.post("/v1/health", said()).json == {"seen_at": "2026-06-15T10:00:00.000Z"}
    council.clock.advance(minutes=1)
    assert bus.post("/v1/health", said(waiting=0, oldest_waiting_at=None)).status == 200
    with council.context.database.reading() as connection:
        first, second = list_terminals(connection)
    assert (first.seen_at, first.clock_ahead_ms) == (START + timedelta(minutes=1), -57_000)
    assert first.health is not None
    assert (first.health.waiting, first.health.oldest_waiting_at) == (0, None)
    assert (first.health.tariffs, first.health.version) == ({"meals": "2026-06-01-abc"}, "0.1")
    assert (second.id, second.seen_at, second.health) == ("bus-2", None, None)


def test_what_is_no_health_is_refused(council: Council) -> None:
    """And so is a terminal that was revoked, at its next request."""
    bus = council.terminal("bus-1")
    for changes in ({"waiting": -1}, {"time": "now"}, {"version": ""}, {"tariffs": {"x": 1}}, {"more": 1}):
        assert bus.post("/v1/health", said(**changes)).outcome == (400, "malformed")
    council.revoke_terminal("bus-1")
    assert bus.post("/v1/health", said()).outcome == (403, "terminal_revoked")
    with council.context.database.reading() as connection:
        [listed] = list_terminals(connection)
    assert (listed.state, listed.seen_at) == ("revoked", None)
