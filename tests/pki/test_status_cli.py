"""Suspending, releasing, publishing and serving by the command line."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.scheme import open_scheme
from tests.pki.conftest import CARD, PASSPHRASE
from tests.pki.linting import crl_findings
from tests.pki.test_cli import answer, issue_card, run

PUBLIC_URL = "https://cards.example/pki"
OF_CARDS = ("--authority", "cards", "--identity", CARD)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cli") / "scheme"
    named = ("--scheme-id", "ashcombe", "--name", "Ashcombe Card", "--public-url", PUBLIC_URL)
    done = run("init", directory, *named, PKI_PASSPHRASE=PASSPHRASE.decode())
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "scheme"))


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run(*arguments, PKI_PASSPHRASE=PASSPHRASE.decode())


def listed(path: Path) -> dict[str, str]:
    """The entries of a list, each with its reason; pkilint has nothing to say."""
    crl = x509.load_pem_x509_crl(path.read_bytes())
    assert crl_findings(crl.public_bytes(Encoding.DER)) == []
    return {
        f"{entry.serial_number:x}": entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.name
        for entry in crl
    }


def test_suspended_released_revoked(directory: Path) -> None:
    """Every certificate of the card at once, and the new list is there each time."""
    serials = {issue_card(directory)["serial"] for _ in range(2)}
    published = directory / "public" / "cards.crl"

    suspended = answer("suspend", directory, *OF_CARDS)
    assert (suspended["authority"], set(suspended["suspended"])) == ("cards", serials)
    assert listed(published) == dict.fromkeys(serials, "certificate_hold")
    assert "certificate_hold" in command("list", directory, "--authority", "cards").stdout

    released = answer("release", directory, *OF_CARDS)
    assert set(released["released"]) == serials
    assert listed(published) == {}

    one = next(iter(serials))
    done = command("suspend", directory, "--authority", "cards", "--serial", one)
    assert done.stdout == f"Suspended {one}. The new list is {published}.\n"
    revoked = answer("revoke", directory, *OF_CARDS, "--reason", "key_compromise")
    assert set(revoked["revoked"]) == serials
    assert listed(published) == dict.fromkeys(serials, "key_compromise")
    assert command("audit", directory).returncode == 0


@pytest.mark.parametrize(
    ("verb", "arguments", "sentence"),
    [
        ("suspend", OF_CARDS, "has no certificate of"),
        ("release", OF_CARDS, "is suspended, so none can be released"),
        ("revoke", OF_CARDS, "has no certificate of"),
        ("suspend", ("--authority", "cards", "--serial", "abc"), "has issued no certificate abc"),
        ("release", ("--authority", "cards", "--serial", "abc"), "has issued no certificate abc"),
    ],
)
def test_what_is_not_there(directory: Path, verb: str, arguments: tuple[str, ...], sentence: str) -> None:
    before = (directory / "public" / "cards.crl").read_bytes()
    done = command(verb, directory, *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert (directory / "public" / "cards.crl").read_bytes() == before


@pytest.mark.parametrize("verb", ["suspend", "release"])
def test_which_certificate_must_be_said_one_way(directory: Path, verb: str) -> None:
    for arguments in ((), ("--serial", "1", "--identity", CARD)):
        done = command(verb, directory, "--authority", "cards", *arguments)
        assert done.returncode == 2
        assert "either --serial or --identity" in done.stderr


def test_what_was_revoked_is_not_released(directory: Path) -> None:
    serial = issue_card(directory)["serial"]
    answer("revoke", directory, *OF_CARDS)
    done = command("release", directory, "--authority", "cards", "--serial", serial)
    assert done.returncode == 1
    assert "is not suspended" in done.stderr


def test_lists_of_every_scope(directory: Path) -> None:
    serial = issue_card(directory)["serial"]
    answer("suspend", directory, *OF_CARDS)
    made = answer("crl", directory, "--authority", "cards", "--all-shards")["crls"]
    complete, shard = made
    assert (complete["shard"], complete["base_number"]) == (None, None)
    assert shard["number"] == complete["number"] + 1
    path = directory / "public" / "cards" / f"{shard['shard']}.crl"
    assert listed(path) == {serial: "certificate_hold"}

    answer("release", directory, *OF_CARDS)  # publishes a complete list, too
    open_scheme(directory, PASSPHRASE).authority("cards").suspend(int(serial, 16), datetime.now(UTC))
    deltas = answer("crl", directory, "--authority", "cards", "--delta", "--all-shards")["crls"]
    assert [delta["base_number"] for delta in deltas] == [shard["number"] + 1, shard["number"]]
    assert listed(directory / "public" / "cards" / "delta.crl") == {serial: "certificate_hold"}
    assert listed(path.with_name(f"{shard['shard']}-delta.crl")) == {serial: "certificate_hold"}
    text = command("crl", directory, "--authority", "cards", "--delta").stdout
    assert text.startswith(f"cards, changes since list {shard['number'] + 1}: to be renewed by ")


def test_a_delta_needs_a_list_before(directory: Path) -> None:
    issue_card(directory)
    done = command("crl", directory, "--authority", "cards", "--delta", "--all-shards")
    assert done.returncode == 1
    assert "there is no complete revocation list of cards, shard" in done.stderr


def test_a_status_list_as_a_file(directory: Path) -> None:
    issue_card(directory)
    answer("suspend", directory, *OF_CARDS)
    made = answer("status-list", directory)
    assert (made["uri"], made["revoked"], made["suspended"]) == (f"{PUBLIC_URL}/status/0", 0, 1)
    raw = (directory / "public" / "status-0.cwt").read_bytes()
    assert (made["path"], made["bytes"]) == (str(directory / "public" / "status-0.cwt"), len(raw))
    assert raw[:1] == b"\xd2"
    out = directory / "another.cwt"
    done = command("status-list", directory, "--out", out)
    assert done.stdout.startswith(f"Wrote {out}: ")
    assert command("status-list", directory, "--number", "3").returncode == 1


def test_without_a_public_url(made_scheme: Path, tmp_path: Path) -> None:
    """There is nothing that a shard or a status list could be called."""
    directory = Path(shutil.copytree(made_scheme, tmp_path / "scheme"))
    done = command("status-list", directory)
    assert done.returncode == 1
    assert "has no public URL" in done.stderr
    issue_card(directory)
    done = command("crl", directory, "--authority", "cards", "--all-shards")
    assert done.returncode == 1
    assert "without a public URL has no shards" in done.stderr


@pytest.mark.parametrize("verb", ["serve", "status-list"])
def test_what_the_service_keeps_the_service_serves(directory: Path, verb: str) -> None:
    open_scheme(directory, PASSPHRASE).hand_over(["cards"], to="cardservice")
    done = command(verb, directory)
    assert done.returncode == 1
    assert "`cardservice`" in done.stderr


def test_a_wrong_passphrase_is_said_before_anything_is_served(directory: Path) -> None:
    done = run("serve", directory, PKI_PASSPHRASE="wrong")
    assert done.returncode == 1
    assert "the passphrase does not open" in done.stderr


@pytest.mark.parametrize("verb", ["suspend", "release", "crl", "status-list", "serve", "revoke"])
def test_help_has_examples(verb: str) -> None:
    done = run(verb, "--help")
    assert done.returncode == 0
    assert f"pki {verb} scheme" in done.stdout
