"""The conformance checks on the software card, over pcscd, and on cards that do one thing wrong."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from reader_agent.cli import main
from reader_agent.conformance import CHECKS, Outcome, examine
from reader_agent.virtual_card import pcscd as virtual_pcscd
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.pcscd import PrivatePcscd
from reader_agent.virtual_card.state import read_memory
from tests.reader_agent.virtual_card.conftest import card_file, full_card
from tests.reader_agent.world import DirectConnection, blank_card
from tests.support import warm
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers

__all__ = ["card_file", "full_card"]

PIN = "123456"


def test_the_software_card_conforms(readers: Readers, full_card: Path, tmp_path: Path) -> None:
    """Both readers, by the command: everything passes with the PIN, and nothing is written to the card."""
    (tmp_path / "pin").write_text(PIN)
    before = read_memory(full_card)
    readers.insert(CONTACT_READER, full_card)
    report = tmp_path / "report.json"
    arguments = ["conformance", "--pin-file", str(tmp_path / "pin"), "--report", str(report)]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (card,) = json.loads(report.read_text())["cards"]
    assert card["reader"] == readers.full_name(CONTACT_READER)
    outcomes = {check["name"]: check["outcome"] for check in card["checks"]}
    assert len(outcomes) == len(CHECKS)
    assert {name for name, outcome in outcomes.items() if outcome == "skipped"} <= NOT_THERE
    assert read_memory(full_card) == before
    assert "key 9E signs without the PIN (SP 800-73-5 part 2, 3.2.4): the signature verifies" in done.stdout


# What the card of the tests has not: an object of printed information may be there or not
NOT_THERE = {"printed information wants the PIN", "the reader tells the UID"}


def test_without_contact_and_pin(readers: Readers, full_card: Path) -> None:
    """What wants a PIN is left out, and 9A and 9C are refused."""
    readers.insert(CONTACTLESS_READER, full_card, Face.CONTACTLESS)
    done = CliRunner().invoke(main, ["conformance", "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (card,) = json.loads(done.stdout)["cards"]
    outcomes = {check["name"]: check["outcome"] for check in card["checks"]}
    assert outcomes["key 9E signs without the PIN"] == "passed"
    assert outcomes["key 9A wants the PIN"] == "passed"
    assert outcomes["key 9A signs with the PIN"] == "skipped"
    assert outcomes["attempts of the PIN"] == "skipped"
    assert outcomes["the reader tells the UID"] == "passed"


def test_a_blank_card_fails_nothing(tmp_path: Path) -> None:
    """What is not there is left out, not failed."""
    with DirectConnection.to(blank_card(tmp_path / "card.json")) as connection:
        results = examine(connection)
    assert Outcome.FAILED not in {result.outcome for result in results}
    assert sum(result.outcome is Outcome.SKIPPED for result in results) > 5


def test_a_wrong_pin_costs_one_attempt(full_card: Path) -> None:
    """A check that wants it fails, and no later one tries again."""
    with DirectConnection.to(full_card) as connection:
        results = examine(connection, "000000")
    assert read_memory(full_card).pin.tries_left == 4
    assert [result.detail for result in results if result.outcome is Outcome.FAILED] == [
        "this is not the card's PIN; 4 attempts are left"
    ]


def answering(wrong: Callable[[bytes], tuple[bytes, int] | None]) -> type[DirectConnection]:
    """A connection to a card that answers some commands by itself."""

    class Wrong(DirectConnection):
        def transmit(self, command: bytes) -> tuple[bytes, int]:
            """See CardConnection."""
            return wrong(command) or super().transmit(command)

    return Wrong


@pytest.mark.parametrize(
    ("fails", "wrong"),
    [
        ("an unknown instruction is refused", lambda c: (b"", 0x9000) if c[1] == 0x01 else None),
        ("key 9A wants the PIN", lambda c: (b"\x7c\x02\x82\x00", 0x9000) if c[3:4] == b"\x9a" else None),
        ("CHUID", lambda c: (b"\x53\x02\x30\x00", 0x9000) if b"\x5f\xc1\x02" in c and c[1] == 0xCB else None),
        ("attempts of the PIN", lambda c: (b"", 0x9000) if c == bytes.fromhex("00200080") else None),
        ("a command in a chain", lambda c: (b"", 0x6884) if c[0] & 0x10 else None),
        ("the PIN is forgotten", lambda c: (b"", 0x6A86) if c[1:3] == b"\x20\xff" else None),
    ],
)
def test_a_card_that_does_one_thing_wrong(
    fails: str, wrong: Callable[[bytes], tuple[bytes, int] | None], full_card: Path
) -> None:
    """The check for it fails."""
    with answering(wrong).to(full_card) as connection:
        results = examine(connection, PIN)
    assert fails in {result.check.name for result in results if result.outcome is Outcome.FAILED}


def test_without_a_card_it_says_so(readers: Readers) -> None:
    done = CliRunner().invoke(main, ["conformance"], catch_exceptions=False)
    assert done.exit_code == 1
    assert readers.full_name(CONTACT_READER) in done.stderr
    assert "[no_card]" in done.stderr


def test_without_a_reader_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pcscd of its own, which has none; a process of its own, since libpcsclite keeps its first socket."""
    monkeypatch.setattr(virtual_pcscd, "_require_names", lambda _: None)  # which otherwise wants one
    with PrivatePcscd(tmp_path, []) as pcscd:
        done = warm.run(["reader-agent", "conformance"], {**os.environ, **pcscd.environment}, 60)
    assert done.returncode == 1
    assert done.stderr.endswith("plug one in, or ask reader-agent doctor why [reader_error]\n")
