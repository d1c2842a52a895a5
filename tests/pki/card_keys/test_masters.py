"""Who holds which master, and that the classes cannot be confused."""

import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from pki.card_keys import (
    Application,
    NativeAnswer,
    ReleasedMasters,
    ServiceMaster,
    ServiceRole,
    ServiceSam,
    TerminalMaster,
    TerminalRole,
    TerminalSam,
    diversify_aes128,
)
from pki.card_keys.aes import encrypt_cbc
from pki.card_keys.errors import CardOrderInvalid
from pki.errors import KeyExists, KeyNotFound
from tests.pki.card_keys.card import CARD_RANDOM, UID
from tests.pki.card_keys.conftest import SYSTEM, TRANSPORT, Keys

READ = TerminalMaster(TRANSPORT, TerminalRole.READ)


def test_every_key_has_a_master_of_its_own(keys: Keys) -> None:
    """AN10922's input has no key number: one master for two keys would make both the same."""
    masters = [ServiceMaster(TRANSPORT, role, version) for role, version in product(ServiceRole, (0, 1))]
    made = {keys.service_sam.card_key(master, UID) for master in masters}
    terminal = [TerminalMaster(TRANSPORT, role, version) for role, version in product(TerminalRole, (0, 1))]
    made |= {keys.terminal_sam.card_key(master, UID) for master in terminal}
    assert len(made) == 10


def test_a_card_s_key_is_an10922_s(keys: Keys) -> None:
    master = keys.terminals.release(READ).value
    assert keys.terminal_sam.card_key(READ, UID) == diversify_aes128(master, UID + b"\x11\xc0\xf5" + SYSTEM)


def test_a_terminal_uses_what_it_was_given(keys: Keys) -> None:
    terminal = TerminalSam(ReleasedMasters((keys.terminals.release(READ),)), SYSTEM)
    assert terminal.card_key(READ, UID) == keys.terminal_sam.card_key(READ, UID)
    for other in (
        TerminalMaster(TRANSPORT, TerminalRole.DEBIT),
        TerminalMaster(Application(0xF5C013), READ.role),
    ):
        with pytest.raises(CardOrderInvalid, match="another provider"):
            terminal.authenticate(other, UID)


def test_an_authentication_begins_with_the_card_s_key(keys: Keys) -> None:
    authentication = keys.terminal_sam.authenticate(READ, UID)
    assert authentication.command.apdu() == bytes.fromhex("9071000002010000")
    key = keys.terminal_sam.card_key(READ, UID)
    reply = authentication.challenge(NativeAnswer(0xAF, encrypt_cbc(key, bytes(16), CARD_RANDOM)))
    assert len(reply.data) == 32


def test_every_authentication_draws_anew(keys: Keys) -> None:
    challenge = NativeAnswer(0xAF, bytes(16))
    replies = {keys.terminal_sam.authenticate(READ, UID).challenge(challenge).data for _ in range(8)}
    assert len(replies) == 8


def test_masters_are_never_replaced(keys: Keys) -> None:
    with pytest.raises(KeyExists):
        keys.terminals.generate(READ)
    with pytest.raises(KeyNotFound):
        keys.terminals.cmac(TerminalMaster(TRANSPORT, TerminalRole.READ, 9), b"")


def test_nobody_authenticates_with_the_key_of_transaction_macs(keys: Keys) -> None:
    with pytest.raises(CardOrderInvalid):
        keys.service_sam.authenticate(ServiceMaster(TRANSPORT, ServiceRole.TRANSACTION_MAC), UID)
    with pytest.raises(CardOrderInvalid):
        keys.service_sam.transaction_mac_key(ServiceMaster(TRANSPORT, ServiceRole.CREDIT), UID)


@pytest.mark.parametrize("uid", [b"", UID[:-1], UID + b"\x00"])
def test_what_is_no_uid(keys: Keys, uid: bytes) -> None:
    with pytest.raises(CardOrderInvalid, match="UID"):
        keys.terminal_sam.card_key(READ, uid)


@pytest.mark.parametrize("length", [0, 5, 21])
def test_what_is_no_system_identifier(keys: Keys, length: int) -> None:
    with pytest.raises(CardOrderInvalid, match="6 to 20"):
        ServiceSam(keys.service, bytes(length))


def test_numbers_out_of_range() -> None:
    for version in (-1, 256):
        with pytest.raises(CardOrderInvalid):
            TerminalMaster(TRANSPORT, TerminalRole.READ, version)
        with pytest.raises(CardOrderInvalid):
            ServiceMaster(TRANSPORT, ServiceRole.CREDIT, version)
    for number in (-1, 1 << 24):
        with pytest.raises(CardOrderInvalid):
            Application(number)


def test_a_released_master_does_not_show(keys: Keys) -> None:
    released = keys.terminals.release(READ)
    assert released.value.hex() not in repr(released)
    assert repr(released.value) not in repr(released)


CONFUSED = """
from pki.card_keys import *
from pki.keys import FileKeyStore
def confuse(
    terminal: TerminalSam, service: ServiceSam, files: TerminalMasters, mine: ServiceMasters
) -> None:
    application = Application(0xF5C011)
    terminal.authenticate(ServiceMaster(application, ServiceRole.CREDIT), b"")
    service.authenticate(TerminalMaster(application, TerminalRole.READ), b"")
    files.release(ServiceMaster(application, ServiceRole.CREDIT))
    TerminalMaster(application, ServiceRole.CREDIT)
    TerminalSam(mine, b"ashcombe")
    mine.release(ServiceMaster(application, ServiceRole.CREDIT))
"""


def test_the_types_keep_the_classes_apart(tmp_path: Path) -> None:
    """A terminal's code that names a key of the service does not pass the type checker."""
    module = tmp_path / "confused.py"
    module.write_text(CONFUSED)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--cache-dir",
            str(tmp_path / "cache"),
            "--no-error-summary",
            str(module),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    wrong = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    first = CONFUSED.splitlines().index("    application = Application(0xF5C011)") + 2
    assert wrong == set(range(first, first + 6)), done.stdout
