"""How terminals are: said over HTTP, kept as it was said last, shown by the command's own function."""

from datetime import timedelta
from typing import Any

import pytest

from cardservice.audit.searching import Wanted, search
from cardservice.terminals.health import list_terminals
from cardservice.terminals.service import terms_of
from tests.cardservice.command_line import typed
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


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_it_is_shown_with_its_name(council: Council) -> None:
    """What it decides by while it cannot ask, and where it stands; a new name leaves what it may do."""
    bus = council.terminal("bus-1")
    assert bus.post("/v1/health", said()).status == 200
    with council.context.database.reading() as connection:
        before = terms_of(connection, "bus-1")
    renamed = typed(council, "terminal", "set", "bus-1", "--name", "Upper Vale, bay 2")
    assert (renamed.exit_code, "(Upper Vale, bay 2): validator" in renamed.stdout) == (0, True), (
        renamed.output
    )
    for name in ("Upper Vale, bay 2", " ", "two\nlines"):
        assert typed(council, "terminal", "set", "bus-1", "--name", name).exit_code == 1, name
    with council.context.database.reading() as connection:
        assert terms_of(connection, "bus-1") == before
        [entry] = search(connection, Wanted(action="terminal.rename"))
    assert entry.detail == {"name": "Upper Vale, bay 2", "former": "bus-1"}
    listed = typed(council, "terminal", "list").stdout
    who = "bus-1 (Upper Vale, bay 2): active, validator of vale-buses; heard of 2026-06-15 10:00:00"
    assert listed.splitlines() == [
        f"{who}, 2 wait since 2026-06-15 09:00, clock +3000 ms",
        "    trust store of 2026-06-15 09:58, lists until none, tariffs: meals 2026-06-01-abc; version 0.1",
    ]
