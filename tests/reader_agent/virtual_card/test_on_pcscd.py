"""The software card on a real pcscd, as other people's programs see it: pyscard and OpenSC."""

import os
import statistics
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from smartcard.CardConnection import CardConnection
from smartcard.scard import (
    SCARD_LEAVE_CARD,
    SCARD_S_SUCCESS,
    SCARD_SCOPE_SYSTEM,
    SCARD_STATE_EMPTY,
    SCARD_STATE_PRESENT,
    SCARD_STATE_UNAWARE,
    SCardEstablishContext,
    SCardGetStatusChange,
    SCardReleaseContext,
)
from smartcard.System import readers as pcsc_readers

from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.card import ATR_CONTACT, ATR_CONTACTLESS
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState, read_memory
from tests.reader_agent.virtual_card.conftest import PIN
from tests.reader_agent.virtual_card.host import Host, card_certificate
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers

READERS = {Face.CONTACT: CONTACT_READER, Face.CONTACTLESS: CONTACTLESS_READER}
ATRS = {Face.CONTACT: ATR_CONTACT, Face.CONTACTLESS: ATR_CONTACTLESS}
EVENT_TIMEOUT_MS = 10_000


def opensc(
    readers: Readers, reader: str, *command: str, key: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one of OpenSC's tools on this reader; whatever comes of it."""
    environment = {**os.environ, **readers.environment, **({"PIV_EXT_AUTH_KEY": str(key)} if key else {})}
    name = readers.full_name(reader)
    return subprocess.run(
        [command[0], "--reader", name, *command[1:]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def connect(readers: Readers, reader: str) -> CardConnection:
    """A pyscard connection that leaves the card as it is when it ends."""
    (found,) = [item for item in pcsc_readers() if str(item) == readers.full_name(reader)]
    connection = found.createConnection()
    connection.connect(disposition=SCARD_LEAVE_CARD)
    return connection


def transmit(connection: CardConnection, command: bytes) -> tuple[bytes, int]:
    """One command; what came back."""
    data, sw1, sw2 = connection.transmit(list(command))
    return bytes(data), sw1 << 8 | sw2


@pytest.mark.parametrize("face", Face)
def test_opensc_takes_it_for_a_piv_card(readers: Readers, personalised: Path, face: Face) -> None:
    readers.insert(READERS[face], personalised, face)
    for option in ("--name", "-n"):
        assert (
            opensc(readers, READERS[face], "opensc-tool", option).stdout
            == "Personal Identity Verification Card\n"
        )
    atr = opensc(readers, READERS[face], "opensc-tool", "--atr").stdout.strip()
    assert bytes.fromhex(atr.replace(":", "")) == ATRS[face]


def test_opensc_takes_a_new_card_for_one_too(readers: Readers, tmp_path: Path) -> None:
    CardState.create(tmp_path / "new.json", factory_memory(os.urandom)).close()
    readers.insert(CONTACT_READER, tmp_path / "new.json")
    assert (
        opensc(readers, CONTACT_READER, "opensc-tool", "-n").stdout == "Personal Identity Verification Card\n"
    )


@pytest.mark.parametrize("face", Face)
def test_opensc_reads_the_9e_certificate(readers: Readers, personalised: Path, face: Face) -> None:
    readers.insert(READERS[face], personalised, face)
    done = opensc(readers, READERS[face], "pkcs15-tool", "--read-certificate", "04")
    assert done.returncode == 0, done.stderr
    readers.pull(READERS[face])
    with CardState.load(personalised) as state:
        expected = card_certificate(Host.of(state, Face.CONTACT))
    assert x509.load_pem_x509_certificate(done.stdout.encode()) == expected


def test_opensc_makes_a_key_on_the_card(readers: Readers, personalised: Path, tmp_path: Path) -> None:
    """piv-tool shows the management key (mutual authentication), has 9A made, and fails to write it down."""
    memory = read_memory(personalised)
    key = tmp_path / "management-key"
    key.write_text(memory.management_key.hex(":"))
    readers.insert(CONTACT_READER, personalised)
    opensc(readers, CONTACT_READER, "piv-tool", "-A", "M:9B:0A", "-G", "9A:11", key=key)
    readers.pull(CONTACT_READER)
    assert 0x9A not in memory.private_keys
    assert 0x9A in read_memory(personalised).private_keys


def test_opensc_with_a_wrong_key_makes_none(readers: Readers, personalised: Path, tmp_path: Path) -> None:
    key = tmp_path / "management-key"
    key.write_text(bytes(24).hex(":"))
    readers.insert(CONTACT_READER, personalised)
    opensc(readers, CONTACT_READER, "piv-tool", "-A", "M:9B:0A", "-G", "9A:11", key=key)
    readers.pull(CONTACT_READER)
    assert 0x9A not in read_memory(personalised).private_keys


@pytest.mark.parametrize("face", Face)
def test_9e_signs_through_pcsc(readers: Readers, personalised: Path, face: Face) -> None:
    with CardState.load(personalised) as state:
        key = card_certificate(Host.of(state, Face.CONTACT)).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    readers.insert(READERS[face], personalised, face)
    connection = connect(readers, READERS[face])
    try:
        assert transmit(connection, bytes.fromhex("00A4040009A0000003080000100000"))[1] == 0x9000
        digest = os.urandom(32)
        answer, sw = transmit(connection, bytes.fromhex("0087119E267C2482008120") + digest + b"\x00")
    finally:
        connection.disconnect()
    assert sw == 0x9000
    key.verify(answer[4:], digest, ec.ECDSA(Prehashed(hashes.SHA256())))


def test_insertion_and_removal_are_seen(readers: Readers, personalised: Path) -> None:
    """By SCardGetStatusChange, which returns when something happens, and by the event counter."""
    name = readers.full_name(CONTACT_READER)
    before = readers.state(CONTACT_READER).event_count
    result, context = SCardEstablishContext(SCARD_SCOPE_SYSTEM)
    assert result == SCARD_S_SUCCESS
    try:
        _, [(_, state, _)] = SCardGetStatusChange(context, 0, [(name, SCARD_STATE_UNAWARE)])
        assert state & SCARD_STATE_EMPTY
        readers.insert(CONTACT_READER, personalised)
        _, [(_, state, atr)] = SCardGetStatusChange(context, EVENT_TIMEOUT_MS, [(name, state)])
        assert state & SCARD_STATE_PRESENT
        assert bytes(atr) == ATR_CONTACT
        readers.pull(CONTACT_READER)
        _, [(_, state, _)] = SCardGetStatusChange(context, EVENT_TIMEOUT_MS, [(name, state)])
        assert state & SCARD_STATE_EMPTY
    finally:
        SCardReleaseContext(context)
    assert readers.state(CONTACT_READER).event_count == before + 2


def test_a_card_swapped_for_another_is_the_other(
    readers: Readers, personalised: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    CardState.create(other, factory_memory(os.urandom)).close()
    for card in (personalised, other, personalised):
        readers.insert(CONTACTLESS_READER, card, Face.CONTACTLESS)
        connection = connect(readers, CONTACTLESS_READER)
        try:
            uid, sw = transmit(connection, bytes.fromhex("FFCA000000"))
        finally:
            connection.disconnect()
        assert (uid, sw) == (read_memory(card).uid, 0x9000)
        readers.pull(CONTACTLESS_READER)


def test_a_verified_pin_stays_with_leave_card_and_goes_with_a_reset(
    readers: Readers, personalised: Path
) -> None:
    readers.insert(CONTACT_READER, personalised)
    connection = connect(readers, CONTACT_READER)
    transmit(connection, bytes.fromhex("00A4040009A0000003080000100000"))
    assert transmit(connection, bytes.fromhex("0020008008") + PIN)[1] == 0x9000
    connection.disconnect()
    connection = connect(readers, CONTACT_READER)
    assert transmit(connection, bytes.fromhex("00200080"))[1] == 0x9000
    connection.reconnect(disposition=1)  # SCARD_RESET_CARD
    transmit(connection, bytes.fromhex("00A4040009A0000003080000100000"))
    assert transmit(connection, bytes.fromhex("00200080"))[1] == 0x63C5
    connection.disconnect()


def test_a_command_does_not_wait_for_delayed_acknowledgements(readers: Readers, personalised: Path) -> None:
    """Without TCP_QUICKACK each command takes about 44 ms; with it, less than one."""
    readers.insert(CONTACT_READER, personalised)
    connection = connect(readers, CONTACT_READER)
    transmit(connection, bytes.fromhex("00A4040009A0000003080000100000"))
    taken_s = []
    for _ in range(31):
        started = time.perf_counter()
        assert transmit(connection, bytes.fromhex("00CB3FFF035C017E00"))[1] == 0x9000
        taken_s.append(time.perf_counter() - started)
    connection.disconnect()
    assert statistics.median(taken_s) < 0.02
