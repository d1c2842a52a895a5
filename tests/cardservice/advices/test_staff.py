"""What staff see and do: quarantine, a dead terminal's outbox, losses, gaps; within bounds, and on record."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from cardservice.advices.wire import join
from cardservice.audit.models import audit
from cardservice.audit.service import security_events
from cardservice.cli import main
from cardservice.ids import TerminalId
from cardservice.quarantine import service
from cardservice.terminals.service import set_terms
from tests.cardservice.advices.chunk import advice, answers, outcomes
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import (
    ACTOR,
    FARE_MINOR,
    TRIP,
    Card,
    Council,
    Terminal,
    advice_of,
    annulment,
    message,
    new_id,
)

URL = "/v1/authorisations"


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A validator that may give away two fares at a time."""
    return council.terminal("bus-12")


def run(council: Council, *arguments: str, status: int = 0) -> dict[str, Any]:
    """A command of `cardservice` in this process; its JSON."""
    settings = council.context.settings
    environment = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": settings.database_url,
        "CARDSERVICE_PKI_DIR": str(settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": settings.public_origin,
    }
    result = CliRunner().invoke(main, [*arguments, "--json"], env=environment)
    assert result.exit_code == status, result.output
    found: dict[str, Any] = json.loads(result.stdout) if result.stdout else {"said": result.stderr}
    return found


def forger_of(card: Card) -> Card:
    """Somebody with the card's certificate and a key of their own."""
    return Card(card.id, card.holder, card.payer, ec.generate_private_key(ec.SECP256R1()), card.certificate)


def test_quarantine(council: Council, bus: Terminal, tmp_path: Path) -> None:
    """Listed without what it says, shown with it, exported as it came, dismissed; each look is logged."""
    card = council.card(top_up_minor=2000)
    statement = advice_of(bus, card)
    entry = advice(statement, forger_of(card))
    assert outcomes(answers(bus, [entry, entry])) == ["proof_invalid"] * 2
    assert bus.post(URL, message(statement, forger_of(card))).outcome == (422, "proof_invalid")

    [found] = run(council, "quarantine", "list")["held"]
    assert (found["terminal"], found["transaction"]) == ("bus-12", str(statement.id))
    assert (found["code"], found["state"]) == ("proof_invalid", "held")
    assert str(card.id) not in json.dumps(found)
    number = str(found["number"])
    assert run(council, "quarantine", "show", number)["message"] == {
        "card": str(card.id),
        "terminal": "bus-12",
        "sequence": statement.sequence,
        "service": "transport",
        "action": "single-fare",
        "amount": "2.40 GBP",
        "time": "2026-06-15T10:00:00.000Z",
        "replaces": None,
        "details": TRIP,
    }
    run(council, "quarantine", "export", number, str(tmp_path / "entry"))
    assert (tmp_path / "entry").read_bytes() == join([entry])
    assert (
        "exists already"
        in run(council, "quarantine", "export", number, str(tmp_path / "entry"), status=1)["said"]
    )
    run(council, "quarantine", "dismiss", number, "--reason", "a forgery")
    assert run(council, "quarantine", "list")["held"] == []
    [closed] = run(council, "quarantine", "list", "--all")["held"]
    assert (closed["state"], closed["closed_because"]) == ("dismissed", "a forgery")
    assert (
        "no message held" in run(council, "quarantine", "dismiss", number, "--reason", "x", status=1)["said"]
    )
    with council.context.database.reading() as connection:
        noted = (
            connection.execute(select(audit.c.action).where(audit.c.action.like("quarantine.%")))
            .scalars()
            .all()
        )
    assert noted == ["quarantine.read"] * 3 + ["quarantine.dismiss"]


def test_a_hostile_terminal_cannot_fill_the_disk(
    council: Council, bus: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many are kept and noted; the rest is counted. Another terminal still has all of its room."""
    monkeypatch.setattr(service, "HELD_MESSAGES", 3)
    monkeypatch.setattr(service, "EVENTS_A_DAY", 5)
    card, other = council.card(), council.terminal("bus-13")
    for _ in range(2):
        answers(bus, [advice(advice_of(bus, card), forger_of(card)) for _ in range(4)])
    answers(other, [advice(advice_of(other, card), forger_of(card))])
    council.clock.advance(days=1)
    answers(bus, [advice(advice_of(bus, card), forger_of(card))])
    found = run(council, "quarantine", "list")
    assert [each["terminal"] for each in found["held"]] == ["bus-12"] * 3 + ["bus-13"]
    assert found["terminals"] == [
        {"terminal": "bus-12", "refused": 9, "not_kept": 6},
        {"terminal": "bus-13", "refused": 1, "not_kept": 0},
    ]
    with council.context.database.reading() as connection:
        events = [event.terminal_id for event in security_events(connection)]
    assert (events.count("bus-12"), events.count("bus-13")) == (5 + 1, 1)


def test_not_by_size_either(council: Council, bus: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "HELD_BYTES", 3_000)
    answers(bus, [bytes([number]) * 1_000 for number in range(5)])
    found = run(council, "quarantine", "list")
    assert (len(found["held"]), found["terminals"][0]["not_kept"]) == (2, 3)
    assert {each["transaction"] for each in found["held"]} == {None}


def test_a_dead_terminals_outbox(council: Council, bus: Terminal, tmp_path: Path) -> None:
    """What it told before its revocation is posted, once; what lies after it is quarantined."""
    card = council.card(top_up_minor=2000)
    entries = [advice(advice_of(bus, card), card) for _ in range(2)]
    council.clock.advance(minutes=1)
    council.revoke_terminal("bus-12")
    council.clock.advance(minutes=1)
    entries.append(advice(advice_of(bus, card), card))
    file = tmp_path / "outbox"
    file.write_bytes(join(entries))
    expected = {"terminal": "bus-12", "entries": 3, "again": 0, "problems": {"terminal_revoked": 1}}
    delivered = run(council, "advices", "deliver", str(file), "--terminal", "bus-12")
    assert delivered == expected | {"answered": 2, "repeated": 0}
    assert run(council, "advices", "deliver", str(file), "--terminal", "bus-12") == expected | {
        "answered": 0,
        "repeated": 2,
    }
    assert council.balances(card.payer) == (2000 - 2 * FARE_MINOR, 0)
    [held] = run(council, "quarantine", "list")["held"]
    assert held["code"] == "terminal_revoked"
    with council.context.database.reading() as connection:
        noted = connection.execute(select(audit).where(audit.c.action == "advices.deliver")).all()
    assert [(row.subject, row.detail) for row in noted] == [("bus-12", {"entries": 3})] * 2
    file.write_bytes(b"no outbox")
    assert (
        "no file of"
        in run(council, "advices", "deliver", str(file), "--terminal", "bus-12", status=1)["said"]
    )


def test_by_the_terms_of_their_moment(council: Council, bus: Terminal) -> None:
    """Role and offline limit count as they were when the goods were given, one by one and in a chunk."""
    card = council.card(top_up_minor=5000)
    early = [advice_of(bus, card) for _ in range(2)]
    council.clock.advance(minutes=1)
    terms(council, bus, "validator", FARE_MINOR - 1)
    council.clock.advance(minutes=1)
    between = [advice_of(bus, card) for _ in range(2)]
    council.clock.advance(minutes=1)
    terms(council, bus, "till", 500)
    council.clock.advance(minutes=1)
    late = [advice_of(bus, card) for _ in range(2)]
    told = [bus.post(URL, message(statements[0], card)) for statements in (early, between, late)]
    assert [reply.outcome[1] for reply in told] == ["approved", "approved", "role_not_allowed"]
    assert [reply.json["flags"] for reply in told[:2]] == [[], ["outside_offline_limits"]]
    found = answers(bus, [advice(statements[1], card) for statements in (early, between, late)])
    assert outcomes(found) == ["approved", "approved", "role_not_allowed"]
    assert [entry["answer"]["flags"] for entry in found[:2]] == [[], ["outside_offline_limits"]]
    changed = run(council, "terminal", "set", "bus-12", "--role", "validator", "--no-offline")
    assert changed == {
        "terminal": "bus-12",
        "name": "bus-12",
        "role": "validator",
        "offline_limit_minor": None,
    }


def test_who_bears_a_loss(council: Council, bus: Terminal) -> None:
    """Within the terminal's limits the scheme, beyond them the provider; what was annulled is none."""
    poor, lost, rich = council.card(), council.card(top_up_minor=2000), council.card(top_up_minor=2000)
    council.clock.advance(seconds=1)
    council.revoke(lost)
    undone = advice_of(bus, poor)
    told = [
        (advice_of(bus, poor), poor),
        (advice_of(bus, poor, amount_minor=600), poor),
        (advice_of(bus, lost), lost),
        (advice_of(bus, rich, amount_minor=600), rich),
        (undone, poor),
    ]
    answers(bus, [advice(statement, card) for statement, card in told])
    assert bus.post(URL, annulment(bus, poor, undone.id)).outcome == (200, "annulled")
    rows = run(council, "advices", "losses")["losses"]
    assert [tuple(row.values()) for row in rows] == [
        ("vale-buses", "provider", 1, 600, 600),
        ("vale-buses", "scheme", 2, 2 * FARE_MINOR, FARE_MINOR),
    ]


def test_gaps(council: Council, bus: Terminal) -> None:
    """Numbers that were not told, whatever told the others; a replay is none."""
    card = council.card(top_up_minor=5000)
    entries = [advice(advice_of(bus, card, sequence=number), card) for number in (3, 4, 8, 9, 11)]
    answers(bus, [*entries, entries[0]])
    bus.post(URL, annulment(bus, card, new_id(), sequence=10))
    other = council.terminal("bus-13")
    answers(other, [advice(advice_of(other, card), card)])
    assert run(council, "terminal", "gaps", "bus-12") == {
        "terminals": [
            {"terminal": "bus-12", "first": 3, "last": 11, "seen": 6, "missing": [{"first": 5, "last": 7}]}
        ]
    }
    assert [each["missing"] for each in run(council, "terminal", "gaps")["terminals"]] == [
        [{"first": 5, "last": 7}],
        [],
    ]
    assert "no terminal" in run(council, "terminal", "gaps", "bus-99", status=1)["said"]


def terms(council: Council, bus: Terminal, role: str, offline_limit_minor: int) -> None:
    """Let a terminal do something else from now on."""
    with council.context.database.begin() as connection:
        set_terms(
            *(connection, TerminalId(bus.id)),
            role=role,
            offline_limit_minor=offline_limit_minor,
            actor=ACTOR,
            moment=council.clock(),
        )
