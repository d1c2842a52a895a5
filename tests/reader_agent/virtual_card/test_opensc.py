"""OpenSC's programs, and those that stand on them, take the software card for a real one.

They find it by the reader's own name, as they would any. What OpenSC 0.23 cannot is in docs/card-spec.md.
"""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import Algorithm, KeyReference
from reader_agent.piv.session import PivSession
from reader_agent.transport.pcsc import PcscReaders
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.state import CardState, read_memory
from tests.reader_agent.test_piv_others import TripleDesCard
from tests.reader_agent.verbs import WELL_KNOWN_3DES
from tests.reader_agent.virtual_card.conftest import MANAGEMENT_KEY
from tests.reader_agent.virtual_card.host import EXPIRES_ON, GUID, Host, card_certificate
from tests.reader_agent.virtual_card.test_on_pcscd import connect, opensc, transmit
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers

PIN, NEW_PIN, WRONG_PIN, PUK = "123456", "24681357", "000000", "87654321"
MODULE = "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so"
PROGRAM = Path(__file__).with_name("sign_with_pkcs11.py")
PROJECT = Path(__file__).parents[3]
TIMEOUT_S = 60.0
MESSAGE = b"I declare that I have read this.\n"
SELECT = "00:A4:04:00:09:A0:00:00:03:08:00:00:10:00"


@pytest.fixture
def folder(full_card: Path, tmp_path: Path) -> Path:
    """What a verifier has: a message, its digest, certificates and public keys; and the PIN in a file."""
    (tmp_path / "message").write_bytes(MESSAGE)
    (tmp_path / "digest").write_bytes(hashlib.sha256(MESSAGE).digest())
    (tmp_path / "pin").write_text(PIN)
    with CardState.load(full_card) as state:
        host = Host.of(state, Face.CONTACT)
        for slot in (0x9A, 0x9C, 0x9E):
            certificate = card_certificate(host, slot)
            (tmp_path / f"{slot:02x}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
            public_key = certificate.public_key().public_bytes(
                Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
            )
            (tmp_path / f"{slot:02x}.pub").write_bytes(public_key)
    return tmp_path


@pytest.fixture
def contact(readers: Readers, full_card: Path, folder: Path) -> Readers:
    """That card in the contact reader."""
    readers.insert(CONTACT_READER, full_card)
    return readers


@pytest.fixture
def contactless(readers: Readers, full_card: Path, folder: Path) -> Readers:
    """That card on the contactless reader."""
    readers.insert(CONTACTLESS_READER, full_card, Face.CONTACTLESS)
    return readers


def pkcs11_tool(readers: Readers, reader: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run OpenSC's PKCS#11 tool on a reader."""
    return run(readers, "pkcs11-tool", "--slot-description", readers.full_name(reader), *arguments)


def run(readers: Readers, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """A program that finds these readers."""
    environment = {**os.environ, **readers.environment, "PKCS11_MODULE_PATH": MODULE}
    return subprocess.run(
        list(map(str, command)),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        stdin=subprocess.DEVNULL,
    )


def openssl_verifies(folder: Path, key: str, signature: Path) -> bool:
    """Whether openssl finds it a signature of the message."""
    done = subprocess.run(
        [
            *("openssl", "dgst", "-sha256", "-verify", folder / f"{key}.pub", "-signature", signature),
            folder / "message",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout == "Verified OK\n"


def test_pkcs15_tool_lists_keys_and_certificates(contact: Readers) -> None:
    done = opensc(contact, CONTACT_READER, "pkcs15-tool", "--dump")
    assert done.returncode == 0, done.stderr
    for key in ("PIV AUTH", "SIGN", "CARD AUTH"):
        assert f"Private EC Key [{key} key]" in done.stdout
    for use in ("PIV Authentication", "Digital Signature", "Card Authentication"):
        assert f"X.509 Certificate [Certificate for {use}]" in done.stdout
    assert GUID.hex in done.stdout


def test_pkcs15_tool_lists_data_objects(contact: Readers) -> None:
    done = opensc(contact, CONTACT_READER, "pkcs15-tool", "--list-data-objects")
    listed = re.sub(r"\n\s+(?=[0-9A-F]+\n)", "", done.stdout)
    chuid = re.search(r"'Card Holder Unique Identifier'.*?Data \(\d+ bytes\): ([0-9A-F]+)", listed, re.DOTALL)
    assert chuid is not None
    assert GUID.hex.upper() in chuid[1]
    assert f"{EXPIRES_ON:%Y%m%d}".encode().hex() in chuid[1]
    assert re.search(
        r"'Card Capability Container'.*?Data \(\d+ bytes\): 5333F015A000000116", listed, re.DOTALL
    )


def test_piv_tool_reads_the_guid_as_serial_number(contact: Readers) -> None:
    done = opensc(contact, CONTACT_READER, "piv-tool", "--serial")
    assert bytes.fromhex(done.stdout[: 16 * 3]) == GUID.bytes


def test_piv_tool_authenticates_and_makes_a_key(contact: Readers, full_card: Path, tmp_path: Path) -> None:
    """`-G` makes the key and then cannot print it (3041): judged by the card."""
    (tmp_path / "management-key").write_text(MANAGEMENT_KEY.hex(":"))
    before = read_memory(full_card).private_keys[0x9A]
    done = opensc(contact, CONTACT_READER, "piv-tool", "-A", "M:9B:08", key=tmp_path / "management-key")
    assert done.returncode == 0, done.stderr
    opensc(
        contact, CONTACT_READER, "piv-tool", "-A", "M:9B:08", "-G", "9A:11", key=tmp_path / "management-key"
    )
    contact.pull(CONTACT_READER)
    assert read_memory(full_card).private_keys[0x9A] != before


def has_authenticated(readers: Readers, algorithm: str, key: bytes, folder: Path) -> bool:
    """Whether piv-tool gets in with a management key."""
    (folder / "9b").write_text(key.hex(":"))
    done = opensc(readers, CONTACT_READER, "piv-tool", "-A", f"M:9B:{algorithm}", key=folder / "9b")
    return done.returncode == 0


@pytest.mark.parametrize("algorithm", piv.AES_KEY_LENGTH)
def test_piv_tool_authenticates_by_aes(
    readers: Readers, full_card: Path, tmp_path: Path, algorithm: Algorithm
) -> None:
    """With AES-128, -192 and -256, and not with another key of the same length."""
    key = os.urandom(piv.AES_KEY_LENGTH[algorithm])
    with CardState.load(full_card) as state:
        state.commit(replace(state.memory, management_algorithm=algorithm, management_key=key))
    readers.insert(CONTACT_READER, full_card)
    assert has_authenticated(readers, f"{algorithm:02X}", key, tmp_path)
    other = bytes((key[0] ^ 1, *key[1:]))
    assert not has_authenticated(readers, f"{algorithm:02X}", other, tmp_path)


def test_what_stands_for_a_3des_card_is_one_to_piv_tool(
    contact: Readers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The software card has no 3DES: our session is tried on a stand-in, which OpenSC gets into."""
    triple_des = TripleDesCard()
    card = contact._inserted[CONTACT_READER].bridge._card
    others = card.transmit

    def answer(command: bytes) -> bytes:
        is_ours = command[1] == 0x87 and command[2:4] == bytes(
            (Algorithm.TRIPLE_DES, KeyReference.MANAGEMENT)
        )
        return triple_des(command) if is_ours else others(command)

    monkeypatch.setattr(card, "transmit", answer)
    assert not has_authenticated(contact, "03", bytes(24), tmp_path)
    assert not triple_des.authenticated
    assert has_authenticated(contact, "03", WELL_KNOWN_3DES, tmp_path)
    assert triple_des.authenticated


@pytest.mark.parametrize(("number", "key"), [("01", "9a"), ("02", "9c")])
def test_pkcs11_tool_signs_and_openssl_verifies(
    contact: Readers, folder: Path, number: str, key: str
) -> None:
    signature = folder / "signature"
    done = pkcs11_tool(
        contact,
        CONTACT_READER,
        *("--login", "--pin", PIN, "--sign", "--mechanism", "ECDSA", "--signature-format", "openssl"),
        *("--id", number, "--input-file", folder / "digest", "--output-file", signature),
    )
    assert done.returncode == 0, done.stderr
    assert openssl_verifies(folder, key, signature)
    assert not openssl_verifies(folder, "9e", signature)


def login(readers: Readers, pin: str) -> bool:
    """Whether pkcs11-tool gets in."""
    return pkcs11_tool(readers, CONTACT_READER, "--login", "--pin", pin, "--list-objects").returncode == 0


def token_flags(readers: Readers) -> str:
    """What pkcs11-tool says of the PIN."""
    listed = run(readers, "pkcs11-tool", "--list-slots").stdout
    found = re.search(r"token flags +: (.*)", listed)
    assert found is not None, listed
    return found[1]


def test_wrong_pins_count_down_and_block_and_the_puk_unblocks(contact: Readers, full_card: Path) -> None:
    for left in (4, 3, 2, 1, 0):
        assert not login(contact, WRONG_PIN)
        assert read_memory(full_card).pin.tries_left == left
        assert ("final user PIN try" in token_flags(contact)) == (left == 1)
        assert ("user PIN locked" in token_flags(contact)) == (left == 0)
    assert not login(contact, PIN)
    arguments = ("pkcs15-tool", "--unblock-pin", "--auth-id", "01", "--new-pin", NEW_PIN)
    assert opensc(contact, CONTACT_READER, *arguments, "--puk", "00000000").returncode != 0
    assert read_memory(full_card).puk.tries_left == 9
    done = opensc(contact, CONTACT_READER, *arguments, "--puk", PUK)
    assert done.returncode == 0, done.stderr
    assert login(contact, NEW_PIN)


def test_pkcs15_tool_changes_the_pin(contact: Readers) -> None:
    arguments = ("pkcs15-tool", "--change-pin", "--auth-id", "01", "--pin", PIN, "--new-pin", NEW_PIN)
    assert opensc(contact, CONTACT_READER, *arguments).returncode == 0
    assert login(contact, NEW_PIN)
    assert not login(contact, PIN)


@pytest.mark.parametrize("face", Face)
def test_python_pkcs11_signs_with_9e_without_login(
    readers: Readers, full_card: Path, folder: Path, face: Face
) -> None:
    """Of the keys it sees that one alone, on both faces: the others are private."""
    reader = CONTACT_READER if face is Face.CONTACT else CONTACTLESS_READER
    readers.insert(reader, full_card, face)
    signature = folder / "signature"
    name = readers.full_name(reader)
    done = run(readers, sys.executable, PROGRAM, MODULE, name, folder / "message", signature)
    assert (done.returncode, done.stdout) == (0, "04\n"), done.stderr
    assert openssl_verifies(folder, "9e", signature)


def test_without_contact_there_is_no_login(contactless: Readers, full_card: Path, folder: Path) -> None:
    done = pkcs11_tool(
        contactless,
        CONTACTLESS_READER,
        *("--login", "--pin", PIN, "--sign", "--mechanism", "ECDSA", "--id", "01"),
        *("--input-file", folder / "digest", "--output-file", folder / "signature"),
    )
    assert done.returncode != 0
    assert not (folder / "signature").exists()
    dump = opensc(contactless, CONTACTLESS_READER, "pkcs15-tool", "--dump").stdout
    assert re.findall(r"Private EC Key \[(.*) key\]", dump) == ["CARD AUTH"]
    verify = opensc(
        contactless, CONTACTLESS_READER, "pkcs15-tool", "--verify-pin", "--auth-id", "01", "--pin", PIN
    )
    assert verify.returncode != 0
    assert read_memory(full_card).pin.tries_left == 5


@contextmanager
def tls_server(folder: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A TLS 1.3 server that wants a certificate it knows, and its port."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", folder / "server.key", "-out", folder / "server.crt", "-days", "2"),
            *("-subj", "/CN=localhost"),
        ],
        check=True,
        capture_output=True,
    )
    server = subprocess.Popen(
        [
            *("openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_3", "-www"),
            *("-cert", folder / "server.crt", "-key", folder / "server.key"),
            *("-Verify", "1", "-verify_return_error", "-CAfile", folder / "9a.crt", "-partial_chain"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with server:
        try:
            assert server.stdout is not None
            for line in server.stdout:
                if port := re.match(r"ACCEPT .*:(\d+)$", line.strip()):
                    yield int(port[1]), server
                    break
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("pin", "certificate", "signed_in"),
    [(PIN, "9a", True), (WRONG_PIN, "9a", False), (PIN, None, False)],
    ids=["with the PIN", "with a wrong PIN", "without a certificate"],
)
def test_the_holder_signs_in_by_tls(
    contact: Readers, folder: Path, pin: str, certificate: str | None, signed_in: bool
) -> None:
    """`openssl s_client` with the key 9A, which stays on the card; the PIN comes from a file."""
    (folder / "pin").write_text(pin)
    options: list[str | Path] = []
    if certificate is not None:
        key = f"pkcs11:id=%01;type=private?pin-source=file:{folder / 'pin'}"
        options = [
            "-engine",
            "pkcs11",
            "-keyform",
            "engine",
            "-key",
            key,
            "-cert",
            folder / f"{certificate}.crt",
        ]
    with tls_server(folder) as (port, _):
        done = subprocess.run(
            [
                *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3", "-ign_eof"),
                *("-CAfile", folder / "server.crt", "-verify_return_error", *options),
            ],
            env={**os.environ, **contact.environment, "PKCS11_MODULE_PATH": MODULE},
            input="GET / HTTP/1.0\r\n\r\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    assert ("HTTP/1.0 200 ok" in done.stdout) == signed_in, done.stderr
    if signed_in:
        assert "New, TLSv1.3" in done.stdout
        assert f"serialNumber = {GUID}" in done.stdout  # the page shows whom the server let in


def sign_with_9a(readers: Readers) -> str:
    """OpenSC asks the card for a signature with 9A, without a PIN; what it prints."""
    command = f"00:87:11:9A:26:7C:24:82:00:81:20:{':'.join(['11'] * 32)}:00"
    return opensc(
        readers, CONTACT_READER, "opensc-tool", "--send-apdu", SELECT, "--send-apdu", command
    ).stdout


def test_after_a_session_ends_opensc_cannot_sign_with_9a(contact: Readers) -> None:
    """The holder has pressed Finish; whoever comes to the reader next is somebody else."""
    readers = PcscReaders()
    session = PivSession(readers.connect(contact.full_name(CONTACT_READER)))
    try:
        with session.exclusive():
            session.verify_pin(PIN)
            session.sign(bytes(32), KeyReference.PIV_AUTHENTICATION)
    finally:
        session.close()
        readers.close()
    assert "SW1=0x69, SW2=0x82" in sign_with_9a(contact)


def test_a_program_that_leaves_the_pin_shown_lets_others_sign(contact: Readers) -> None:
    """What the session above prevents; without this, that test could not fail."""
    connection = connect(contact, CONTACT_READER)
    transmit(connection, bytes.fromhex(SELECT.replace(":", "")))
    assert transmit(connection, bytes.fromhex("0020008008313233343536FFFF"))[1] == 0x9000
    connection.disconnect()
    assert "SW1=0x69" not in sign_with_9a(contact)


HOLD_WITH_PIN = """
import sys, time
from reader_agent.piv.session import PivSession
from reader_agent.transport.pcsc import PcscReaders
session = PivSession(PcscReaders().connect(sys.argv[1]))
with session.exclusive_with_pin("123456"):
    print("shown", flush=True)
    time.sleep(600)
"""


def test_after_a_session_is_killed_opensc_cannot_sign_with_9a(contact: Readers) -> None:
    """It could not clean up; pcscd does, and resets the card."""
    environment = {**os.environ, **contact.environment, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", HOLD_WITH_PIN, contact.full_name(CONTACT_READER)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "shown\n"
        process.kill()
    assert "SW1=0x69, SW2=0x82" in sign_with_9a(contact)
