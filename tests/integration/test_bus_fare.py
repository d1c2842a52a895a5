"""A real feed on the real stack: software card, pcscd, agent, HTTP, gunicorn, SQLite and PostgreSQL.

The fares are those of the feed of Zakroczym (fare_products.txt and fare_leg_rules.txt): 0.00 within an area,
4.00 between the town and Modlin-Twierdza, 5.00 between the town and Nowy Dwór Mazowiecki.
"""

import json
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pki.clock import system_clock
from reader_agent.config import TERMINAL_KEY, AgentDirectory
from reader_agent.service_client import ServiceClient
from tests.integration.conftest import BUS_TERMINAL, Council

CZARNA, ZAREBY = "100", "101"  # area 1, Zakroczym
CHRZANOWSKIEGO = "117"  # area 2, Modlin-Twierdza
URZAD_MIASTA = "121"  # area 3, Nowy Dwór Mazowiecki


def trip(from_stop: str, to_stop: str) -> dict[str, str]:
    """The details of a single fare."""
    return {"from_stop": from_stop, "to_stop": to_stop}


@pytest.mark.parametrize(
    ("to_stop", "amount_minor"),
    [(CHRZANOWSKIEGO, 400), (URZAD_MIASTA, 500), (ZAREBY, 0)],
    ids=["Modlin-Twierdza", "Nowy Dwór Mazowiecki", "within the area"],
)
def test_a_card_pays_the_fare_of_the_feed(council: Council, to_stop: str, amount_minor: int) -> None:
    holder = council.holder_with_card(topup="20.00")
    with council.on_the_bus(holder):
        answer = council.tap(trip(CZARNA, to_stop)).json
    assert (answer["decision"], answer["amount_minor"], answer["currency"]) == (
        "approved",
        amount_minor,
        "PLN",
    )
    assert council.prepaid(holder) == 2000 - amount_minor
    council.verify_ledger()


def test_too_little_money_is_a_stored_decline_without_a_transfer(council: Council) -> None:
    holder = council.holder_with_card(topup="3.99")
    with council.on_the_bus(holder):
        answer = council.tap(trip(CZARNA, CHRZANOWSKIEGO)).json
    assert (answer["decision"], answer["reason"]) == ("declined", "insufficient_funds")
    assert council.prepaid(holder) == 399
    assert council.count("ledger_transaction", answer["id"]) == 1
    assert council.count("transfer", answer["id"]) == 0
    council.verify_ledger()


def test_a_revoked_card_is_refused_at_its_next_tap(council: Council) -> None:
    holder = council.holder_with_card(topup="20.00")
    with council.on_the_bus(holder):
        assert council.tap(trip(CZARNA, CHRZANOWSKIEGO)).json["decision"] == "approved"
        council.stack.run("cardservice", "card", "revoke", holder.card, "--reason", "lost")
        refused = council.tap(trip(CZARNA, CHRZANOWSKIEGO))
        assert "card_revoked" in refused.out + refused.err
        council.sync()
        known = council.tap(trip(CZARNA, CHRZANOWSKIEGO))
    assert "certificate_revoked" in known.out + known.err  # by the status list, without asking the service
    assert council.prepaid(holder) == 1600


def test_a_tap_while_the_service_is_away_waits_and_is_posted_once(council: Council) -> None:
    holder = council.holder_with_card(topup="20.00")
    with council.on_the_bus(holder):
        # The terminal learns the price while it can ask.
        assert council.tap(trip(CZARNA, CHRZANOWSKIEGO)).json["decision"] == "approved"
        council.stack.stop_service()
        try:
            offline = council.tap(trip(CZARNA, CHRZANOWSKIEGO)).json
        finally:
            council.stack.start_service()
    assert offline["offline"] is True
    assert council.waiting() > 0
    assert council.prepaid(holder) == 1600
    council.sync()
    assert council.waiting() == 0
    assert council.prepaid(holder) == 1200
    council.sync()
    assert council.prepaid(holder) == 1200
    council.verify_ledger()


def test_the_service_killed_in_a_tap_charges_once(council: Council) -> None:
    holder = council.holder_with_card(topup="20.00")
    with council.on_the_bus(holder):
        assert council.tap(trip(CZARNA, CHRZANOWSKIEGO)).json["decision"] == "approved"
        with council.answers_lost_after_posting():
            council.tap(trip(CZARNA, CHRZANOWSKIEGO))
    council.sync()
    assert council.waiting() == 0
    assert council.prepaid(holder) == 1200
    council.verify_ledger()


def test_a_proof_verifies_with_openssl_alone(council: Council, tmp_path: Path) -> None:
    holder = council.holder_with_card(topup="20.00")
    with council.on_the_bus(holder):
        answer = council.tap(trip(CZARNA, CHRZANOWSKIEGO)).json
    folder = tmp_path / "proof"
    council.stack.run("cardservice", "proof", "export", answer["id"], str(folder))
    for command in documented_commands():
        done = openssl(command, folder)
        assert done.returncode == 0, done.stdout + done.stderr
    exported = json.loads((folder / "transaction.json").read_text())
    assert exported["amount_minor"] == 400

    structure = folder / "sig_structure.bin"
    content = bytearray(structure.read_bytes())
    content[-1] ^= 1
    structure.write_bytes(content)
    assert any(openssl(command, folder).returncode != 0 for command in documented_commands())


def test_openssl_refuses_the_certificate_of_a_revoked_card(
    council: Council, tmp_path: Path, check_certificate: Callable[[str, Path], bool]
) -> None:
    holder = council.holder_with_card(topup="20.00")
    assert check_certificate(holder.card, tmp_path)
    council.stack.run("cardservice", "card", "revoke", holder.card, "--reason", "stolen")
    assert not check_certificate(holder.card, tmp_path)


def test_a_terminal_is_given_its_provider_s_keys(council: Council) -> None:
    """Over HTTP, sealed for it; the masters lie encrypted with the service's keys."""
    stack, granted = council.stack, ("buses", "F5C011", "--key")
    for role in ("read", "debit"):
        stack.run("cardservice", "provider", "card-key", *granted, role)
    directory = AgentDirectory(stack.agent(BUS_TERMINAL))
    key = directory.keys(directory.settings()).private_key(TERMINAL_KEY)
    clock = system_clock(stack.clock_offset_s)
    with closing(ServiceClient(stack.origin, BUS_TERMINAL, key, clock)) as client:
        given = client.card_keys("zakroczym")
    assert [each.master.name for each in given] == ["terminal-f5c011-1-v0", "terminal-f5c011-2-v0"]
    assert given[0].value != given[1].value
    for file in (stack.root / "scheme" / "cardservice" / "terminal-masters").iterdir():
        assert all(each.value not in file.read_bytes() for each in given)


def openssl(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a documented command in the folder of an exported proof."""
    return subprocess.run(
        ["sh", "-ec", command], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def documented_commands() -> list[str]:
    """The shell commands of docs/proofs.md, as they stand there."""
    text = (Path(__file__).parents[2] / "docs" / "proofs.md").read_text(encoding="utf-8")
    blocks = text.split("```sh\n")[1:]
    assert len(blocks) >= 2, "docs/proofs.md lost its commands"
    return [block.split("```")[0] for block in blocks]
