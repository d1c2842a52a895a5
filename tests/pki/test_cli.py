"""The `pki` command as an operator runs it: a process of its own."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.scheme import open_scheme
from tests.pki.conftest import CARD, PASSPHRASE, csr_for, new_key

PKI = Path(sys.executable).parent / "pki"
DAY_S = 86_400


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scheme that the command made just now, to be copied."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "passphrase").write_bytes(PASSPHRASE + b"\n")
    directory = folder / "scheme"
    done = run(
        *("init", directory, "--scheme-id", "ashcombe", "--name", "Ashcombe Card"),
        *("--passphrase-file", folder / "passphrase"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Made the scheme 'ashcombe'")
    return directory


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "scheme"))


def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command without a terminal and with no variables of `pki` but these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PKI_")}
    return subprocess.run(
        [str(PKI), *map(str, arguments)],
        env={**inherited, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def answer(*arguments: object, **variables: str) -> dict[str, Any]:
    """The JSON of a command that succeeds."""
    done = run(*arguments, "--json", PKI_PASSPHRASE=PASSPHRASE.decode(), **variables)
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert isinstance(value, dict)
    return value


def write_csr(folder: Path, encoding: Encoding = Encoding.PEM) -> Path:
    path = folder / "request.csr"
    path.write_bytes(csr_for(new_key()).public_bytes(encoding))
    return path


def issue_card(directory: Path, *more: object) -> dict[str, Any]:
    csr = write_csr(directory)
    return answer(
        *("issue", directory, "--profile", "card-authentication", "--csr", csr, "--identity", CARD, *more)
    )


def verify(directory: Path, *more: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(
        *("verify", directory / "card.crt", "--purpose", "card-authentication"),
        *("--trust", directory / "public", *more),
        **variables,
    )


def test_from_issue_to_revocation(directory: Path) -> None:
    issued = issue_card(directory, "--out", directory / "card.crt")
    certificate = x509.load_pem_x509_certificate((directory / "card.crt").read_bytes())
    assert issued["serial"] == f"{certificate.serial_number:x}"
    assert issued["identity"] == CARD

    done = verify(directory)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{CARD}: valid for card-authentication at ")

    revoked = answer(
        *("revoke", directory, "--authority", "cards", "--serial", issued["serial"]),
        *("--reason", "key_compromise"),
    )
    assert revoked == {"authority": "cards", "revoked": [issued["serial"]]}
    done = verify(directory)
    assert done.returncode == 1
    assert done.stderr.startswith(f"pki verify: serialNumber={CARD}: was revoked on ")
    assert done.stderr.endswith("(key_compromise)\n")
    assert json.loads(verify(directory, "--json").stdout)["code"] == "certificate_revoked"
    assert verify(directory, "--no-status").returncode == 0

    (listed,) = answer("list", directory, "--authority", "cards")["certificates"]
    assert (listed["serial"], listed["reason"]) == (issued["serial"], "key_compromise")
    assert "revoked" in run("list", directory).stdout


def test_every_certificate_of_an_identity_is_revoked_at_once(directory: Path) -> None:
    serials = {issue_card(directory)["serial"] for _ in range(2)}
    revoke = ("revoke", directory, "--authority", "cards", "--identity", CARD)
    assert set(answer(*revoke)["revoked"]) == serials
    done = run(*revoke, PKI_PASSPHRASE=PASSPHRASE.decode())
    assert done.returncode == 1
    assert CARD in done.stderr


def test_the_certificate_is_printed_where_no_file_is_named(directory: Path) -> None:
    csr = write_csr(directory, Encoding.DER)
    done = run(
        *("issue", directory, "--profile", "terminal", "--csr", csr, "--identity", "bus-12", "--days", "30"),
        PKI_PASSPHRASE=PASSPHRASE.decode(),
    )
    assert done.returncode == 0, done.stderr
    certificate = x509.load_pem_x509_certificate(done.stdout.encode())
    assert certificate.subject.rfc4514_string() == "CN=bus-12"


def test_verifying_at_another_moment(directory: Path) -> None:
    issue_card(directory, "--out", directory / "card.crt")
    codes = {
        moment: json.loads(verify(directory, "--at", moment, "--json").stdout)["code"]
        for moment in ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00+01:00")
    }
    assert codes == {
        "2020-01-01T00:00:00Z": "certificate_not_yet_valid",
        "2099-01-01T00:00:00+01:00": "certificate_expired",
    }
    for moment in ("yesterday", "2026-11-24T08:15:00"):
        assert verify(directory, "--at", moment).returncode == 2


def test_lists_go_stale_and_are_renewed(directory: Path) -> None:
    """Eight days later by the clock of the development environment."""
    issue_card(directory, "--out", directory / "card.crt")
    later = {"CITIZEN_CARD_CLOCK_OFFSET_S": str(8 * DAY_S)}
    stale = verify(directory, "--json", **later)
    assert (stale.returncode, json.loads(stale.stdout)["code"]) == (1, "status_stale")
    made = answer("crl", directory, **later)["crls"]
    assert [crl["authority"] for crl in made] == ["cards", "service", "terminals"]
    assert verify(directory, **later).returncode == 0


def test_a_list_of_the_root_is_asked_for_by_name(directory: Path) -> None:
    (made,) = answer("crl", directory, "--authority", "root", "--days", "30")["crls"]
    assert made["authority"] == "root"


def test_a_clock_that_is_no_number(directory: Path) -> None:
    done = run(
        *("crl", directory), PKI_PASSPHRASE=PASSPHRASE.decode(), CITIZEN_CARD_CLOCK_OFFSET_S="tomorrow"
    )
    assert done.returncode == 2
    assert "tomorrow" in done.stderr


def test_show_needs_no_passphrase(directory: Path) -> None:
    done = run("show", directory)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Ashcombe Card (ashcombe), object identifiers below 1.3.6.1.4.1.32473\n")
    shown = answer("show", directory)
    assert [authority["name"] for authority in shown["authorities"]] == [
        *("root", "cards", "service", "terminals")
    ]


def test_an_authority_that_was_handed_over_is_refused(directory: Path) -> None:
    open_scheme(directory, PASSPHRASE).hand_over(["cards", "terminals"], to="cardservice")
    csr = write_csr(directory)
    commands: list[tuple[object, ...]] = [
        (
            *("issue", directory, "--profile", "card-authentication"),
            *("--csr", csr, "--identity", CARD),
        ),
        ("revoke", directory, "--authority", "cards", "--serial", "1"),
        ("crl", directory, "--authority", "terminals"),
    ]
    for command in commands:
        done = run(*command, PKI_PASSPHRASE=PASSPHRASE.decode())
        assert done.returncode == 1
        assert "`cardservice`" in done.stderr
    assert [crl["authority"] for crl in answer("crl", directory)["crls"]] == ["service"]


class TestPassphrases:
    """They come from files and the environment, never from arguments."""

    @pytest.fixture(params=["issue", "revoke", "crl"])
    def command(self, request: pytest.FixtureRequest, directory: Path) -> tuple[object, ...]:
        commands: dict[str, Callable[[], tuple[object, ...]]] = {
            "issue": lambda: (
                *("issue", directory, "--profile", "terminal"),
                *("--csr", write_csr(directory), "--identity", "bus-12"),
            ),
            "revoke": lambda: ("revoke", directory, "--authority", "cards", "--serial", "1"),
            "crl": lambda: ("crl", directory),
        }
        return commands[request.param]()

    def test_a_wrong_one(self, command: tuple[object, ...]) -> None:
        done = run(*command, PKI_PASSPHRASE="wrong")
        assert done.returncode == 1
        assert "the passphrase does not open" in done.stderr
        assert done.stdout == ""

    def test_none(self, command: tuple[object, ...]) -> None:
        done = run(*command)
        assert done.returncode == 1
        assert "give --passphrase-file or set PKI_PASSPHRASE" in done.stderr

    def test_the_roots_own(self, tmp_path: Path) -> None:
        own, root, directory = tmp_path / "own", tmp_path / "root-passphrase", tmp_path / "scheme"
        own.write_text("own\n")
        root.write_text("of the root\n")
        own_option = ("--passphrase-file", own)
        done = run(
            *("init", directory, "--scheme-id", "a", "--name", "A", *own_option),
            *("--root-passphrase-file", root),
        )
        assert done.returncode == 0, done.stderr
        for_root = ("crl", directory, "--authority", "root", *own_option)
        assert "root.key" in run(*for_root).stderr
        assert run(*for_root, "--root-passphrase-file", root).returncode == 0
        assert run(*for_root, PKI_ROOT_PASSPHRASE="of the root").returncode == 0
        assert run("crl", directory, *own_option).returncode == 0


def test_init_writes_nothing_over(directory: Path) -> None:
    done = run(*("init", directory, "--scheme-id", "a", "--name", "A"), PKI_PASSPHRASE=PASSPHRASE.decode())
    assert done.returncode == 1
    assert done.stderr == f"pki init: {directory} exists already; a scheme is never written over\n"


def test_no_key_and_no_passphrase_is_printed(directory: Path) -> None:
    done = run("crl", directory, PKI_PASSPHRASE=PASSPHRASE.decode())
    assert PASSPHRASE.decode() not in done.stdout + done.stderr
    assert "PRIVATE" not in done.stdout + done.stderr


def test_the_mode_of_keys_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"umask 0; exec {PKI} init {tmp_path / 's'} --scheme-id a --name A"],
        env={**os.environ, "PKI_PASSPHRASE": "x"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for secret in [*(tmp_path / "s").rglob("*.key"), *(tmp_path / "s").rglob("*.sqlite")]:
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "absent"),
        ("issue", "absent", "--profile", "terminal", "--csr", "absent", "--identity", "x"),
        ("verify", "absent", "--purpose", "terminal", "--trust", "absent"),
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_what_is_not_there_is_named(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, PKI_PASSPHRASE="x")
    assert done.returncode == 1
    assert done.stderr.startswith(f"pki {arguments[0]}: ")
    assert "absent" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_request_that_is_none(directory: Path) -> None:
    (directory / "request.csr").write_text("hello")
    done = run(
        *("issue", directory, "--profile", "terminal", "--csr", directory / "request.csr"),
        *("--identity", "bus-12"),
        PKI_PASSPHRASE=PASSPHRASE.decode(),
    )
    assert done.returncode == 1
    assert "is not a certificate signing request" in done.stderr
