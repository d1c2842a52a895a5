"""The traffic log: every flow that there is, and none of its secrets or of what is about persons in it."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pki.scheme import Scheme
from reader_agent.agent import Agent
from reader_agent.cardspec.piv import WELL_KNOWN_TRANSPORT_KEY
from reader_agent.cli import main
from reader_agent.personalise import personalise, reset_card
from reader_agent.tapping import tap
from reader_agent.transport.access import Access
from reader_agent.transport.pcsc import PcscReaders
from reader_agent.transport.traffic import CardTraffic, TrafficLog, describe
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.state import read_memory
from tests.reader_agent.card_service import CardService
from tests.reader_agent.world import ORDER, MovableClock, World, blank_card, make_agent, new_order
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers

NEW_PIN, LAST_PIN = "73950264", "95173648"
LONGEST = 12  # bytes: more is shown of nothing but the names of applications


@pytest.fixture
def desk(scheme: Scheme, card_service: CardService, clock: MovableClock, tmp_path: Path) -> Iterator[Agent]:
    """An issuing desk."""
    with Agent(make_agent(tmp_path / "desk", card_service, scheme, "desk-1"), clock) as agent:
        yield agent


def test_no_flow_leaves_a_secret_in_the_log(
    desk: Agent, card_service: CardService, world: World, readers: Readers, tmp_path: Path
) -> None:
    """A card's whole life over pcscd: made, read, paid with, PIN used, changed, blocked, unblocked; reset."""
    path, log = tmp_path / "life.json", tmp_path / "traffic.log"
    order = new_order(card_service)
    pins = []
    with TrafficLog(log) as traffic:
        pcsc = PcscReaders(Access(traffic=traffic))
        try:
            readers.insert(CONTACT_READER, blank_card(path))
            done = personalise(desk, pcsc.connect(CONTACT_READER), order.id, WELL_KNOWN_TRANSPORT_KEY)
            assert done.initial_pin is not None
            pins.append(done.initial_pin)
            hold(tmp_path, log, done.initial_pin, order.puk)
            readers.pull(CONTACT_READER)
            readers.insert(CONTACTLESS_READER, path, Face.CONTACTLESS)
            tap(world.agent, pcsc.connect(CONTACTLESS_READER), ORDER)
            readers.pull(CONTACTLESS_READER)
            secrets = secrets_of(path, [*pins, NEW_PIN, LAST_PIN, order.puk, "12345678"])
            order.state = "open"
            readers.insert(CONTACT_READER, path)
            reset_card(desk, pcsc.connect(CONTACT_READER), order.id, WELL_KNOWN_TRANSPORT_KEY)
        finally:
            pcsc.close()
    text = log.read_text(encoding="ascii")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert text.count("\n") > 200
    squeezed = text.replace(" ", "").upper()
    for secret in secrets:
        for form in (secret.hex().upper(), secret.hex(" ").upper()):
            assert form not in text.upper()
        assert secret.hex().upper() not in squeezed
        assert secret.decode("latin-1") not in text
    # And what it is for is there.
    assert "> 00 A4 04 00 9 bytes: A00000030800001000" in text
    assert "> 00 CB 3F FF 5 bytes: 5FC102" in text
    assert "> 00 20 00 80 8 bytes\n" in text
    assert "< 63C" in text
    assert "disconnected, card reset" in text


def hold(folder: Path, log: Path, pin: str, puk: str) -> None:
    """What a holder does with a card, by the commands: sign, change the PIN, block it, unblock it."""
    for name, secret in {"pin": pin, "new": NEW_PIN, "wrong": "000000", "puk": puk, "last": LAST_PIN}.items():
        (folder / name).write_text(secret)
    (folder / "letter").write_text("Dear council")
    reader = ("--reader", CONTACT_READER)
    run = CliRunner().invoke

    def typed(*arguments: str | Path) -> int:
        return run(main, ["--traffic-log", str(log), *map(str, arguments)], catch_exceptions=False).exit_code

    assert typed("info", *reader) == 0
    assert typed("sign", folder / "letter", *reader, "--pin-file", folder / "pin") == 0
    files = ("--pin-file", folder / "pin", "--new-pin-file", folder / "new")
    assert typed("pin", "change", *reader, *files) == 0
    for _ in range(5):
        assert typed("sign", folder / "letter", *reader, "--pin-file", folder / "wrong", "--out", "x") == 1
    files = ("--puk-file", folder / "puk", "--new-pin-file", folder / "last")
    assert typed("pin", "unblock", *reader, *files) == 0


def secrets_of(path: Path, spoken: list[str]) -> list[bytes]:
    """All that must not be seen: codes, keys, what objects hold, and numbers that a card is known by."""
    memory = read_memory(path)
    pieces = [
        content[at : at + LONGEST]
        for content in memory.objects.values()
        for at in range(0, len(content) - LONGEST + 1, 5)
    ]
    return [
        *(each.encode() for each in spoken),
        *(each.encode().ljust(8, b"\xff") for each in spoken),
        memory.management_key,
        WELL_KNOWN_TRANSPORT_KEY,
        memory.uid,
        *(key[-32:] for key in memory.private_keys.values()),
        *pieces,
    ]


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("00A4040009A0000003080000100000", "00 A4 04 00 9 bytes: A00000030800001000"),
        ("00CB3FFF055C035FC10200", "00 CB 3F FF 5 bytes: 5FC102"),
        ("00CB3FFF035C017E00", "00 CB 3F FF 3 bytes: 7E"),
        ("10DB3FFF085C035FC109530101", "10 DB 3F FF 8 bytes: 5FC109"),
        ("0020008008313233343536FFFF", "00 20 00 80 8 bytes"),
        ("002C008010" + "31" * 16, "00 2C 00 80 16 bytes"),
        ("00FFFFFF130A9B10" + "AA" * 16, "00 FF FF FF 19 bytes"),
        ("00870011047C028200", "00 87 00 11 4 bytes"),
        ("FFCA000000", "FF CA 00 00"),
        ("80CB3FFF055C035FC102", "80 CB 3F FF 5 bytes"),
        ("00CB3FFF055C3131323334", "00 CB 3F FF 5 bytes"),
        ("00", "00"),
        ("", ""),
    ],
)
def test_what_is_shown_of_a_command(command: str, shown: str) -> None:
    """Headers; names of applications and of objects, and of what is not known nothing."""
    assert describe(bytes.fromhex(command)) == shown


def test_a_later_piece_of_a_chain_shows_nothing(tmp_path: Path) -> None:
    """It may begin as a list of tags does, and be a photograph."""
    with TrafficLog(tmp_path / "log") as log:
        traffic = CardTraffic(log, "reader")
        piece = bytes.fromhex("DB3FFF055C03313233")
        for cla in (0x10, 0x10, 0x00, 0x00):
            traffic.sent(bytes((cla,)) + piece)
    shown = [line.rpartition("> ")[2] for line in (tmp_path / "log").read_text().splitlines()]
    assert [line.endswith("313233") for line in shown] == [True, False, False, True]


@given(st.binary(max_size=300), st.booleans())
def test_any_command_can_be_described(command: bytes, continues: bool) -> None:
    """In one line of plain text, of which at most sixteen bytes are data."""
    text = describe(command, continues=continues)
    assert "\n" not in text
    assert len(text) < 80


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Before any card is touched."""
    arguments = ["--traffic-log", str(tmp_path / "none" / "log"), "readers"]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 1
    assert "[config_invalid]" in done.stderr


def test_without_the_option_nothing_is_written(readers: Readers, tmp_path: Path) -> None:
    """Off unless asked for."""
    before = set(tmp_path.iterdir())
    assert CliRunner().invoke(main, ["readers"], catch_exceptions=False).exit_code == 0
    assert set(tmp_path.iterdir()) == before
