"""Passphrases that are typed: a real terminal, on which nothing of them is shown."""

import os
import pty
import select
import subprocess
import time
from pathlib import Path

from pki.scheme import open_scheme
from tests.pki.test_cli import PKI
from tests.support.softhsm import MODULE, SoftHsm

TIMEOUT_S = 120.0
OWN_ARC = "1.3.6.1.4.1.99999"


def typed(arguments: list[object], answers: list[tuple[str, str]], **variables: str) -> tuple[int, str]:
    """Exit status and screen of `pki` on a terminal of its own: each prompt is waited for and answered."""
    leader, follower = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PKI_")}
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", str(PKI), *map(str, arguments)],
        env={**environment, "TERM": "dumb", **variables},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    screen, seen, deadline = "", 0, time.monotonic() + TIMEOUT_S
    waiting = list(answers)
    while time.monotonic() < deadline:
        if waiting and waiting[0][0] in screen[seen:]:
            seen = len(screen)
            os.write(leader, f"{waiting.pop(0)[1]}\n".encode())
        ready, _, _ = select.select([leader], [], [], 0.2)
        if ready:
            try:
                screen += os.read(leader, 4096).decode()
            except OSError:  # the program has ended, and its side of the terminal with it
                break
        elif process.poll() is not None:
            break
    os.close(leader)
    return process.wait(TIMEOUT_S), screen


def test_a_scheme_is_made_and_used(tmp_path: Path) -> None:
    directory = tmp_path / "s"
    twice = [("Passphrase", "correct horse"), ("Repeat", "correct horse")]
    status, screen = typed(["init", directory], twice)
    assert status == 0, screen
    assert "correct horse" not in screen
    open_scheme(directory, b"correct horse").authority("cards")
    status, screen = typed(["crl", directory], [("Passphrase", "correct horse")])
    assert status == 0, screen
    status, screen = typed(["crl", directory], [("Passphrase", "incorrect horse")])
    assert status == 1
    assert "the passphrase does not open" in screen


def test_a_ceremony(tmp_path: Path) -> None:
    """Each custodian twice; then two of them, whom the program asks for."""
    directory = tmp_path / "s"
    words = {"Ann": "the first of three", "Ben": "the second of three", "Cy": "the third of three"}
    asked = [
        answer
        for name, word in words.items()
        for answer in ((f"Passphrase of {name}", word), ("Repeat", word))
    ]
    status, screen = typed(
        [
            *(
                "ceremony",
                "root",
                directory,
                "--scheme-id",
                "s",
                "--name",
                "S",
                "--oid-arc",
                "1.3.6.1.4.1.99999",
            ),
            *(part for name in words for part in ("--custodian", name)),
        ],
        asked,
    )
    assert status == 0, screen
    status, screen = typed(
        ["ceremony", "issuing", directory],
        [
            ("Custodian", "Cy"),
            ("Passphrase of Cy", words["Cy"]),
            ("Custodian", "Ann"),
            ("Passphrase of Ann", words["Ann"]),
        ],
        PKI_PASSPHRASE="x",
    )
    assert status == 0, screen
    assert not any(word in screen for word in words.values())
    open_scheme(directory, b"x").authority("cards")


def test_a_tokens_pin(softhsm: SoftHsm, tmp_path: Path) -> None:
    softhsm.make_token("scheme", "123456")
    status, screen = typed(
        ["init", tmp_path / "s", "--pkcs11-module", MODULE, "--token", "scheme"],
        [("Passphrase", "123456"), ("Repeat", "123456")],
    )
    assert status == 0, screen
    assert "123456" not in screen
