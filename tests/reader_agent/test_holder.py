"""`info`, `pin` and `sign`, typed at a terminal with a card in a reader."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from reader_agent.cardspec.piv import ObjectId
from reader_agent.cli import main
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.state import CardState, read_memory
from tests.reader_agent.virtual_card.conftest import card_file, full_card
from tests.reader_agent.virtual_card.host import EXPIRES_ON, GUID
from tests.reader_agent.world import blank_card
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers

__all__ = ["card_file", "full_card"]

PIN, NEW_PIN, PUK = "123456", "24681357", "87654321"
CONTACT = ("--reader", CONTACT_READER)

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Type a command, and then what it asks for."""

    def run(*arguments: str | Path, typed: str = "") -> Result:
        return CliRunner().invoke(main, list(map(str, arguments)), input=typed, catch_exceptions=False)

    return run


@pytest.fixture
def inserted(readers: Readers, full_card: Path) -> Path:
    """A card with all its keys in the contact reader."""
    readers.insert(CONTACT_READER, full_card)
    return full_card


def secret(folder: Path, name: str, text: str) -> Path:
    """A PIN or PUK in a file, as an editor leaves it."""
    (folder / name).write_text(f"{text}\n")
    return folder / name


def test_info_tells_what_card_it_is(run: Run, inserted: Path) -> None:
    done = run("info", *CONTACT, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["card"], found["expires_on"]) == (str(GUID), str(EXPIRES_ON))
    assert (found["pin"], found["pin_attempts"]) == ("application", 5)
    assert set(found["certificates"]) == {"9A", "9C", "9E"}
    assert found["objects"]["5FC109"] == "refused"  # printed information wants the PIN
    assert found["objects"]["00007E"] == "readable"
    assert "5FC106" not in found["objects"]  # no security object yet
    text = run("info", *CONTACT).stdout
    assert str(GUID) in text
    assert "5 attempts are left" in text


def test_info_without_contact_tells_less(run: Run, readers: Readers, full_card: Path) -> None:
    readers.insert(CONTACTLESS_READER, full_card, Face.CONTACTLESS)
    found = json.loads(run("info", "--reader", CONTACTLESS_READER, "--json").stdout)
    assert found["card"] == str(GUID)
    assert set(found["certificates"]) == {"9E"}
    assert found["pin_attempts"] is None
    assert found["objects"]["5FC105"] == "refused"


def test_info_of_a_blank_card(run: Run, readers: Readers, tmp_path: Path) -> None:
    readers.insert(CONTACT_READER, blank_card(tmp_path / "blank.json"))
    found = json.loads(run("info", *CONTACT, "--json").stdout)
    assert (found["card"], found["certificates"], found["pin_attempts"]) == (None, {}, 0)
    assert "not personalised" in run("info", *CONTACT).stdout


def test_info_without_a_card(run: Run, readers: Readers) -> None:
    done = run("info", *CONTACT, "--wait", "0")
    assert done.exit_code == 1
    assert "[no_card]" in done.stderr


def test_the_pin_is_changed_by_typing(run: Run, inserted: Path) -> None:
    done = run("pin", "change", *CONTACT, typed=f"{PIN}\n{NEW_PIN}\n{NEW_PIN}\n")
    assert done.exit_code == 0, done.output
    assert done.stdout == "The PIN is changed.\n"
    assert PIN not in done.output
    assert NEW_PIN not in done.output
    assert read_memory(inserted).pin.value == NEW_PIN.encode()


def test_a_new_pin_that_was_mistyped_is_asked_for_again(run: Run, inserted: Path) -> None:
    typed = f"{PIN}\n{NEW_PIN}\n24681358\n{NEW_PIN}\n{NEW_PIN}\n"
    assert run("pin", "change", *CONTACT, typed=typed).exit_code == 0
    assert read_memory(inserted).pin.value == NEW_PIN.encode()


def test_the_pin_is_changed_from_files(run: Run, inserted: Path, tmp_path: Path) -> None:
    files = ("--pin-file", secret(tmp_path, "pin", PIN), "--new-pin-file", secret(tmp_path, "new", NEW_PIN))
    done = run("pin", "change", *CONTACT, *files, "--json")
    assert json.loads(done.stdout) == {"changed": "pin"}
    assert read_memory(inserted).pin.value == NEW_PIN.encode()


def test_a_wrong_pin_says_how_many_attempts_are_left(run: Run, inserted: Path) -> None:
    for words in ("4 attempts are left", "3 attempts", "2 attempts", "one attempt is left"):
        done = run("pin", "change", *CONTACT, typed=f"000000\n{NEW_PIN}\n{NEW_PIN}\n")
        assert done.exit_code == 1
        assert words in done.stderr
        assert "[pin_wrong]" in done.stderr
    for _ in range(2):
        done = run("pin", "change", *CONTACT, typed=f"000000\n{NEW_PIN}\n{NEW_PIN}\n")
        assert "unblock it with the PUK [pin_blocked]" in done.stderr


@pytest.mark.parametrize("new", ["12345", "123456789", "12345x"])
def test_a_slip_costs_no_attempt(run: Run, inserted: Path, new: str) -> None:
    done = run("pin", "change", *CONTACT, typed=f"000000\n{new}\n{new}\n")
    assert (done.exit_code, "[pin_malformed]" in done.stderr) == (1, True)
    assert read_memory(inserted).pin.tries_left == 5


def test_a_pin_file_that_holds_none(run: Run, inserted: Path, tmp_path: Path) -> None:
    (tmp_path / "pin").write_bytes(b"\xff" * 8)
    done = run("pin", "change", *CONTACT, "--pin-file", tmp_path / "pin")
    assert "[pin_malformed]" in done.stderr


def test_the_puk_unblocks(run: Run, inserted: Path, tmp_path: Path) -> None:
    for _ in range(5):
        run("pin", "change", *CONTACT, typed=f"000000\n{NEW_PIN}\n{NEW_PIN}\n")
    done = run("pin", "unblock", *CONTACT, typed=f"00000000\n{NEW_PIN}\n{NEW_PIN}\n")
    assert "this is not the card's PUK; 9 attempts are left" in done.stderr
    done = run(
        "pin", "unblock", *CONTACT, "--puk-file", secret(tmp_path, "puk", PUK), typed=f"{NEW_PIN}\n" * 2
    )
    assert done.exit_code == 0, done.output
    memory = read_memory(inserted)
    assert (memory.pin.value, memory.pin.tries_left, memory.puk.tries_left) == (NEW_PIN.encode(), 5, 10)


def test_without_contact_the_pin_cannot_be_changed(run: Run, readers: Readers, full_card: Path) -> None:
    readers.insert(CONTACTLESS_READER, full_card, Face.CONTACTLESS)
    done = run("pin", "change", "--reader", CONTACTLESS_READER, typed=f"{PIN}\n{NEW_PIN}\n{NEW_PIN}\n")
    assert "insert it into a contact reader [contact_needed]" in done.stderr


@pytest.fixture
def declaration(tmp_path: Path) -> Path:
    """A file to sign, longer than one read."""
    (tmp_path / "declaration.txt").write_bytes(b"I declare that I have read this.\n" * 10_000)
    return tmp_path / "declaration.txt"


def test_a_holder_signs_and_openssl_verifies(
    run: Run, inserted: Path, declaration: Path, tmp_path: Path
) -> None:
    done = run(
        "sign",
        declaration,
        *CONTACT,
        "--certificate-out",
        tmp_path / "signer.crt",
        "--json",
        typed=f"{PIN}\n",
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["signature"] == f"{declaration}.sig"
    certificate = x509.load_pem_x509_certificate((tmp_path / "signer.crt").read_bytes())
    assert certificate == x509.load_pem_x509_certificate(told["certificate"].encode())
    public_key = certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "signer.pub").write_bytes(public_key)
    command = ["openssl", "dgst", "-sha256", "-verify", str(tmp_path / "signer.pub"), "-signature"]
    verified = subprocess.run(
        [*command, told["signature"], str(declaration)], capture_output=True, text=True, check=False
    )
    assert verified.stdout == "Verified OK\n"
    declaration.write_bytes(b"I declare nothing.\n")
    refused = subprocess.run(
        [*command, told["signature"], str(declaration)], capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0


def test_a_wrong_pin_signs_nothing(run: Run, inserted: Path, declaration: Path) -> None:
    done = run("sign", declaration, *CONTACT, typed="000000\n")
    assert "[pin_wrong]" in done.stderr
    assert not declaration.with_name("declaration.txt.sig").exists()
    assert run("sign", declaration, *CONTACT, typed=f"{PIN}\n").exit_code == 0


def test_a_signature_overwrites_nothing(run: Run, inserted: Path, declaration: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    done = run("sign", declaration, *CONTACT, "--out", tmp_path / "precious")
    assert "[config_invalid]" in done.stderr
    assert (tmp_path / "precious").read_text() == "mine"
    done = run("sign", declaration, *CONTACT, "--out", tmp_path / "none" / "signature", typed=f"{PIN}\n")
    assert (done.exit_code, "cannot be written" in done.stderr) == (1, True)


def test_a_card_without_that_key(run: Run, readers: Readers, declaration: Path, tmp_path: Path) -> None:
    readers.insert(CONTACT_READER, blank_card(tmp_path / "blank.json"))
    done = run("sign", declaration, *CONTACT, typed=f"{PIN}\n")
    assert "[key_unsuitable]" in done.stderr


def test_a_certificate_of_another_key_is_noticed(
    run: Run, readers: Readers, full_card: Path, declaration: Path
) -> None:
    """Nothing is written that the card's own certificate does not verify."""
    with CardState.load(full_card) as state:
        content = state.memory.objects[ObjectId.PIV_AUTHENTICATION_CERTIFICATE]
        state.commit(state.memory.with_object(ObjectId.DIGITAL_SIGNATURE_CERTIFICATE, content))
    readers.insert(CONTACT_READER, full_card)
    done = run("sign", declaration, *CONTACT, typed=f"{PIN}\n")
    assert "[card_proof_invalid]" in done.stderr
    assert not declaration.with_name("declaration.txt.sig").exists()
