"""PIN pads: what readers answer, what is sent to them, and what the session makes of it.

No PIN pad was at hand. The reader's answer is a recorded one; what it would do with the structures is not
tried.
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from smartcard.pcsc.PCSCPart10 import parseFeatureRequest

from reader_agent.cli import main
from reader_agent.errors import PinBlocked, PinEntryFailed, PinMalformed, PinWrong
from reader_agent.piv.pin_entry import PadPin, TypedPin
from reader_agent.piv.session import PivSession
from reader_agent.transport.pcsc import PcscReaders
from reader_agent.transport.pin_pad import Feature, modify_block, parse_features, verify_block
from reader_agent.virtual_card.state import read_memory
from tests.reader_agent.virtual_card.conftest import card_file, full_card
from tests.reader_agent.world import DirectConnection
from tests.support.pcsc import CONTACT_READER, Readers

__all__ = ["card_file", "full_card"]

# A Gemalto GemPC Pinpad (USB 08e6:34c2), as recorded in pyscard's test of its own parser: 06, 07, 0A, 12
RECORDED = bytes.fromhex("060442330006 070442330007 0A044233000A 120442330012")
VERIFY = bytes.fromhex("0020008008FFFFFFFFFFFFFFFF")
CHANGE = bytes.fromhex("0024008010") + b"\xff" * 16
PIN, NEW_PIN = b"123456\xff\xff", b"24681357"


def test_a_readers_answer_is_read_as_by_another_program() -> None:
    """PC/SC part 10, 2.2: numbers with their high byte first."""
    found = parse_features(RECORDED)
    assert found == {Feature.VERIFY_PIN_DIRECT: 0x42330006, Feature.MODIFY_PIN_DIRECT: 0x42330007}
    theirs = dict(parseFeatureRequest(list(RECORDED)))
    assert {feature: theirs[f"FEATURE_{feature.name}"] for feature in found} == found


@given(st.binary(max_size=64))
def test_any_answer_is_read_to_its_end(raw: bytes) -> None:
    """A driver's bytes are no reason to fail."""
    assert set(parse_features(raw)) <= set(Feature)


@pytest.mark.parametrize(
    "raw", [b"", RECORDED[:5], b"\x06\x03" + RECORDED[2:6], b"\x06\x02\x00\x00\x00\x00"], ids=bytes.hex
)
def test_an_answer_that_makes_no_sense_is_no_pad(raw: bytes) -> None:
    """Cut off, or with another length."""
    assert parse_features(raw) == {}


def test_the_structure_for_verify() -> None:
    """Part 10, 2.5.2: each field at its place, in little-endian order, and then the command."""
    block = verify_block(VERIFY)
    assert len(block) == 19 + len(VERIFY)
    # Format 82 (bytes, left, ASCII), block of 8, no length; 8 digits at most and 6 at least; Enter ends it
    assert block[2:8] == bytes((0x82, 0x08, 0x00, 8, 6, 0x02))
    assert struct.unpack_from("<I", block, 15) == (len(VERIFY),)
    assert block[19:] == VERIFY


def test_the_structure_for_change() -> None:
    """Part 10, 2.5.3: the old PIN at 0, the new one at 8, both asked for and the new one confirmed."""
    block = modify_block(CHANGE)
    assert len(block) == 24 + len(CHANGE)
    assert block[2:11] == bytes((0x82, 0x08, 0x00, 0, 8, 8, 6, 0x03, 0x02))
    assert block[14:17] == bytes((0, 1, 2))
    assert struct.unpack_from("<I", block, 20) == (len(CHANGE),)
    assert block[24:] == CHANGE


@dataclass
class Pad:
    """A reader with keys and a person at them: fills in the PIN at the places that the structures name."""

    connection: DirectConnection
    typed: list[bytes]
    answers: list[int] = field(default_factory=list)
    seen: list[bytes] = field(default_factory=list)

    def enter_pin(self, command: bytes, *, is_change: bool) -> tuple[bytes, int]:
        """See PinEntry's Pad."""
        if self.answers:
            return b"", self.answers.pop(0)
        self.seen.append(command)
        assert set(command[5:]) == {0xFF}
        pins = b"".join(self.typed.pop(0) for _ in range(2 if is_change else 1))
        return self.connection.transmit(command[:5] + pins)


def test_a_pin_typed_on_the_reader(full_card: Path) -> None:
    """Shown, used, and forgotten; the program has seen the empty command alone."""
    with DirectConnection.to(full_card) as connection:
        session, pad = PivSession(connection), Pad(connection, [PIN])
        told: list[str] = []
        entry = PadPin(pad, told.append)
        entry.prepare()
        with session.exclusive_showing(entry.verify):
            assert session.sign(bytes(32), 0x9A)  # type: ignore[arg-type]  # the number of the key
        assert pad.seen == [VERIFY]
        assert len(told) == 1
        assert connection.sent[-1][1:3] == b"\x20\xff"


def test_a_pin_changed_on_the_reader(full_card: Path) -> None:
    """Old and new at their places."""
    with DirectConnection.to(full_card) as connection:
        session, pad = PivSession(connection), Pad(connection, [PIN, NEW_PIN])
        with session.exclusive():
            PadPin(pad, lambda _: None).change(session)
        session.close()
    assert pad.seen == [CHANGE]
    assert read_memory(full_card).pin.value == NEW_PIN


def test_a_wrong_pin_on_the_reader_counts(full_card: Path) -> None:
    """The card's answer means what it always means."""
    with DirectConnection.to(full_card) as connection:
        session = PivSession(connection)
        for left in (4, 3, 2, 1):
            entry = PadPin(Pad(connection, [b"000000\xff\xff"]), lambda _: None)
            with pytest.raises(PinWrong) as wrong, session.exclusive_showing(entry.verify):
                pass
            assert wrong.value.attempts_remaining == left
        entry = PadPin(Pad(connection, [b"000000\xff\xff"]), lambda _: None)
        with pytest.raises(PinBlocked), session.exclusive_showing(entry.verify):
            pass


@pytest.mark.parametrize(
    ("status", "says"),
    [(0x6400, "in time"), (0x6401, "cancelled"), (0x6402, "differently"), (0x6403, "six to eight")],
)
def test_what_the_reader_itself_answers(full_card: Path, status: int, says: str) -> None:
    """Nothing was sent to the card, so no attempt is spent."""
    with DirectConnection.to(full_card) as connection:
        session, pad = PivSession(connection), Pad(connection, [], [status])
        with session.exclusive(), pytest.raises(PinEntryFailed, match=says):
            PadPin(pad, lambda _: None).verify(session)
    assert read_memory(full_card).pin.tries_left == 5


def test_a_typed_pin_is_asked_for_before_the_card_is_taken(full_card: Path) -> None:
    """Nobody else waits for a person; what is no PIN costs nothing."""
    with DirectConnection.to(full_card) as connection:
        session = PivSession(connection)
        entry = TypedPin(lambda: "12345")
        with pytest.raises(RuntimeError), session.exclusive_showing(entry.verify):
            pass
        entry.prepare()
        with pytest.raises(PinMalformed), session.exclusive_showing(entry.verify):
            pass
    assert read_memory(full_card).pin.tries_left == 5


def test_a_reader_without_keys_says_so(readers: Readers, full_card: Path) -> None:
    """vsmartcard's virtual reader, over pcscd: with a card, and without one."""
    pcsc = PcscReaders()
    try:
        assert not pcsc.has_pin_pad(CONTACT_READER)
        readers.insert(CONTACT_READER, full_card)
        connection = pcsc.connect(CONTACT_READER)
        assert connection.pin_features() == {}
        with pytest.raises(PinEntryFailed, match="no keys"):
            connection.enter_pin(VERIFY, is_change=False)
        # The question has done the connection no harm.
        with connection.transaction():
            assert connection.transmit(bytes.fromhex("00A4040009A0000003080000100000"))[1] == 0x9000
        connection.close()
    finally:
        pcsc.close()


@pytest.mark.parametrize("command", [("sign", "letter"), ("pin", "change")], ids=str)
def test_a_command_on_a_reader_without_keys(
    readers: Readers,
    full_card: Path,
    tmp_path: Path,
    command: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Says what to do instead; the PIN has spent no attempt."""
    monkeypatch.chdir(tmp_path)
    Path("letter").write_text("Dear council")
    readers.insert(CONTACT_READER, full_card)
    arguments = [*command, "--reader", CONTACT_READER, "--pin-pad"]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 1
    assert "type it at the computer [pin_entry_failed]" in done.stderr
    (tmp_path / "pin").write_text("123456")
    done = CliRunner().invoke(main, [*arguments, "--pin-file", str(tmp_path / "pin")])
    assert done.exit_code == 2
