"""The power goes while an authority works: whatever was handed out is known, and everything agrees."""

import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from secrets import randbelow

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pki.auditing import audit
from pki.published import publish
from pki.scheme import Scheme
from pki.store import IssuedCertificate
from tests.pki.conftest import START, issue

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("way", ["kept-open", "by-call"])
def test_killed_at_random(scheme: Scheme, way: str) -> None:
    said = [line for _ in range(6) for line in _killed_after(scheme, way, randbelow(40) + 1)]
    issuers = {"cards": scheme.certificates["cards"]}
    store = scheme.records("cards")
    found = audit(store, "cards", issuers)
    issued = {record.serial: record for record in store.issued("cards")}
    handed_out = [int(line.removeprefix("issued ").strip(), 16) for line in said if line.startswith("issued")]
    assert len(set(handed_out)) == len(handed_out) >= 6
    assert set(handed_out) <= set(issued)
    assert found.certificates == len(issued)
    for line in said:
        if line.startswith("revoked"):
            assert issued[int(line.removeprefix("revoked ").strip(), 16)].reason == "superseded"
    # What is public is one of the lists that are known.
    public = x509.load_pem_x509_crl((scheme.public_dir / "cards.crl").read_bytes())
    number = public.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert number in {crl.number for crl in store.crls("cards")}
    # And it goes on.
    issue(scheme, "card-authentication")
    after = scheme.authority("cards").make_crl(max(record.issued_at for record in issued.values()))
    assert {entry.serial_number for entry in after} == {
        record.serial for record in issued.values() if record.revoked_at is not None
    }
    audit(scheme.records("cards"), "cards", issuers)
    assert _revoked_by_ocsp(scheme, issued.values()) == {entry.serial_number for entry in after}


def _revoked_by_ocsp(scheme: Scheme, issued: Iterable[IssuedCertificate]) -> set[int]:
    """Whom the responder calls revoked; it knows each of these."""
    desk, issuer, revoked = publish(scheme, lambda: START).desk, scheme.certificates["cards"], set()
    for record in issued:
        asked = ocsp.OCSPRequestBuilder().add_certificate(
            x509.load_der_x509_certificate(record.der), issuer, hashes.SHA256()
        )
        told = ocsp.load_der_ocsp_response(desk.respond(asked.build().public_bytes(Encoding.DER)).der)
        assert told.certificate_status is not ocsp.OCSPCertStatus.UNKNOWN
        if told.certificate_status is ocsp.OCSPCertStatus.REVOKED:
            revoked.add(record.serial)
    return revoked


def _killed_after(scheme: Scheme, way: str, lines: int) -> list[str]:
    """What a process said until it was killed, some time after so many lines."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.pki.busy_authority", str(scheme.directory), way],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process, process.stdout, process.stderr:
        said = [line for _ in range(lines) if (line := process.stdout.readline())]
        process.send_signal(signal.SIGKILL)
        # A line that was being written may be cut: what was handed out is what arrived whole.
        said += [line for line in process.stdout if line.endswith("\n")]
        complaint = process.stderr.read()
    assert process.returncode == -signal.SIGKILL, complaint
    return said
