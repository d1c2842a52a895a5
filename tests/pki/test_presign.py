"""`pki ocsp presign`: `openssl ocsp` verifies the files, which follow what is revoked and what has ended."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pki.profiles import CARD_AUTHENTICATION
from pki.scheme import Scheme, create_scheme
from tests.pki.conftest import CARD, PASSPHRASE, csr_for, new_key
from tests.pki.linting import ocsp_findings
from tests.pki.test_serve import run

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scheme, Path, int]:
    """A scheme of now with a card, and one whose certificates have ended; their answers were signed."""
    directory, now = tmp_path_factory.mktemp("presigned") / "scheme", datetime.now(UTC)
    scheme = create_scheme(directory, "ashcombe", "Ashcombe Card", PASSPHRASE, None, now - 10 * 24 * HOUR)
    cards = scheme.authority("cards")
    card = cards.issue(csr_for(new_key()), CARD_AUTHENTICATION, CARD, now)
    cards.issue(csr_for(new_key()), CARD_AUTHENTICATION, CARD[:-1] + "7", now - 9 * 24 * HOUR, 1)
    (directory / "card.crt").write_bytes(card.public_bytes(Encoding.PEM))
    stray = directory / "public" / "ocsp" / "cards" / "0.sha1.ors"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"of a certificate that has ended")
    presign(directory)
    assert not stray.exists()
    return scheme, directory, card.serial_number


def presign(directory: Path, *options: object) -> list[dict[str, Any]]:
    done = run("pki", "ocsp", "presign", directory, "--json", *options)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["presigned"]
    return found


def asked(directory: Path, answer: Path, *options: str) -> str:
    """What `openssl ocsp` reads in a file about the card."""
    public = directory / "public"
    done = run(
        "openssl",
        *("ocsp", "-respin", answer, *options, "-issuer", public / "cards.crt"),
        *("-cert", directory / "card.crt", "-CAfile", public / "root.crt", "-no_nonce"),
    )
    assert "Response verify OK" in done.stderr, done.stderr
    return done.stdout.splitlines()[0].partition(": ")[2]


def test_openssl_reads_the_files(signed: tuple[Scheme, Path, int]) -> None:
    _, directory, serial = signed
    folder = directory / "public" / "ocsp" / "cards"
    names = {f"{serial:x}.sha1.ors", f"{serial:x}.sha256.ors"}
    assert {path.name for path in folder.iterdir()} == names
    assert asked(directory, folder / f"{serial:x}.sha1.ors") == "good"
    assert asked(directory, folder / f"{serial:x}.sha256.ors", "-sha256") == "good"
    for name in names:
        assert ocsp_findings((folder / name).read_bytes()) == []


def test_after_a_revocation_it_is_run_again(signed: tuple[Scheme, Path, int], tmp_path: Path) -> None:
    scheme, directory, serial = signed
    scheme.authority("cards").suspend(serial, datetime.now(UTC))
    (fact,) = presign(directory, "--authority", "cards", "--hours", 24, "--out", tmp_path)
    assert (fact["issuer"], fact["certificates"]) == ("cards", 1)
    path = tmp_path / "cards" / f"{serial:x}.sha1.ors"
    assert asked(directory, path) == "revoked"
    answer = ocsp.load_der_ocsp_response(path.read_bytes())
    assert answer.next_update_utc is not None
    assert answer.next_update_utc - answer.this_update_utc == 24 * HOUR
    scheme.authority("cards").release(serial, datetime.now(UTC))
    presign(directory, "--authority", "cards", "--out", tmp_path)
    assert asked(directory, path) == "good"


def test_nobody_answers_for_the_root(signed: tuple[Scheme, Path, int]) -> None:
    done = run("pki", "ocsp", "presign", signed[1], "--authority", "root")
    assert done.returncode == 2
    assert "'root' is not one of" in done.stderr
