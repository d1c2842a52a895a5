"""Cards of another scheme under the trust list: for what it gives their authority, and nothing else."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pki.errors import CertificateRevoked, PurposeRefused, StatusUnknown, TrustListRefused
from pki.reading import read_certificate
from pki.scheme import Scheme
from pki.trust_list import Recognised, TrustList, verify_trust_list
from pki.verification import NOT_REQUIRED, Purpose, RecognisingVerifier, Verifier
from pki.verification.errors import IssuerUnknown
from tests.pki.conftest import CARD, START, Issued, issue
from tests.pki.test_cli import run
from tests.pki.test_trust_list import signed

DAY = timedelta(days=1)
CARDS = Purpose.CARD_AUTHENTICATION


def entry(other: Scheme, authority: str, *purposes: str) -> Recognised:
    return Recognised(
        scheme="beckford",
        name="Beckford Card",
        certificate=other.certificates[authority],
        purposes=purposes,
    )


def list_of(*recognised: Recognised) -> TrustList:
    return TrustList(
        scheme="ashcombe", number=1, issued=START, expires=START + 2 * DAY, recognised=recognised
    )


@pytest.fixture(scope="session")
def guest(other: Scheme) -> Issued:
    """A card of the other scheme."""
    return issue(other, "card-authentication")


@pytest.fixture
def recognising(scheme: Scheme, other: Scheme) -> Callable[..., RecognisingVerifier]:
    """A verifier of `scheme` that has the other's lists, and a trust list of these entries."""

    def make(*recognised: Recognised, lists: bool = True) -> RecognisingVerifier:
        trust = scheme.trust_store()
        found = verify_trust_list(signed(scheme, list_of(*recognised)), "ashcombe", START, trust)
        crls = other.trust_store().crls if lists else ()
        return RecognisingVerifier(Verifier(trust), found, crls)

    return make


def test_a_guest_for_what_is_listed(
    recognising: Callable[..., RecognisingVerifier], scheme: Scheme, other: Scheme, guest: Issued
) -> None:
    verifier = recognising(entry(other, "cards", "card-authentication"))
    verified = verifier.verify(guest.certificate, CARDS, START)
    assert (verified.identity, verified.recognised) == (CARD, "beckford")
    assert verified.chain == (other.certificates["cards"],)
    assert [finding.kind.value for finding in verified.evidence] == ["crl"]
    own = verifier.verify(issue(scheme, "card-authentication").certificate, CARDS, START)
    assert (own.recognised, own.chain[-1]) == (None, scheme.certificates["root"])


def test_for_no_other_purpose(
    recognising: Callable[..., RecognisingVerifier], other: Scheme, guest: Issued
) -> None:
    """Neither what the authority certifies but the list leaves out, nor what the list gives it in vain."""
    verifier = recognising(entry(other, "cards", "card-authentication", "terminal"))
    holder = issue(other, "holder-authentication").certificate
    with pytest.raises(PurposeRefused, match="recognises beckford for card-authentication, terminal"):
        verifier.verify(holder, Purpose.HOLDER_AUTHENTICATION, START)
    with pytest.raises(PurposeRefused, match="is not a certificate for terminal"):
        verifier.verify(guest.certificate, Purpose.TERMINAL, START)
    with pytest.raises(PurposeRefused):
        verifier.verify(holder, CARDS, START)
    twice = recognising(entry(other, "cards", "signature"), entry(other, "cards", "holder-authentication"))
    assert twice.verify(holder, Purpose.HOLDER_AUTHENTICATION, START).recognised == "beckford"


def test_only_by_the_authority_that_is_listed(
    recognising: Callable[..., RecognisingVerifier], other: Scheme, guest: Issued
) -> None:
    """Its sisters are strangers; so is what stands below a root that is listed in its place."""
    verifier = recognising(entry(other, "cards", "card-authentication", "terminal"))
    with pytest.raises(IssuerUnknown):
        verifier.verify(issue(other, "terminal").certificate, Purpose.TERMINAL, START)
    with pytest.raises(IssuerUnknown):
        recognising(entry(other, "root", "card-authentication")).verify(guest.certificate, CARDS, START)
    with pytest.raises(IssuerUnknown):
        recognising().verify(guest.certificate, CARDS, START)


def test_what_was_tampered_with(
    recognising: Callable[..., RecognisingVerifier], other: Scheme, guest: Issued
) -> None:
    der = guest.certificate.public_bytes(Encoding.DER)
    changed = read_certificate(der[:-1] + bytes([der[-1] ^ 1]))
    with pytest.raises(IssuerUnknown):
        recognising(entry(other, "cards", "card-authentication")).verify(changed, CARDS, START)


def test_within_the_lists_time(
    recognising: Callable[..., RecognisingVerifier], scheme: Scheme, other: Scheme, guest: Issued
) -> None:
    """A verifier outlives its list: what is its own goes on, guests wait for the next one."""
    verifier = recognising(entry(other, "cards", "card-authentication"))
    assert verifier.verify(guest.certificate, CARDS, START + 2 * DAY).recognised
    own = issue(scheme, "card-authentication").certificate
    for moment in (START - timedelta(seconds=1), START + 2 * DAY + timedelta(seconds=1)):
        with pytest.raises(TrustListRefused, match="fetch a new one"):
            verifier.verify(guest.certificate, CARDS, moment)
    assert verifier.verify(own, CARDS, START + 3 * DAY).recognised is None


def test_its_status_is_the_other_schemes(
    recognising: Callable[..., RecognisingVerifier], scheme: Scheme, other: Scheme
) -> None:
    listed = entry(other, "cards", "card-authentication")
    lost = issue(other, "card-authentication").certificate
    with pytest.raises(StatusUnknown):
        recognising(listed, lists=False).verify(lost, CARDS, START)
    assert recognising(listed, lists=False).verify(lost, CARDS, START, NOT_REQUIRED).recognised
    authority = other.authority("cards")
    authority.revoke(lost.serial_number, START, "key_compromise")
    trust = list_of(listed)
    verifier = RecognisingVerifier(Verifier(scheme.trust_store()), trust, [authority.make_crl(START)])
    with pytest.raises(CertificateRevoked):
        verifier.verify(lost, CARDS, START + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("purpose", "at", "signer", "code"),
    [
        ("card-authentication", 0, "ashcombe", None),
        ("holder-authentication", 0, "ashcombe", "purpose_refused"),
        ("card-authentication", 3, "ashcombe", "trust_list_refused"),
        ("card-authentication", 0, "beckford", "trust_list_refused"),
    ],
    ids=["accepted", "wrong purpose", "expired list", "foreign signer"],
)
def test_by_command(
    scheme: Scheme,
    other: Scheme,
    guest: Issued,
    tmp_path: Path,
    purpose: str,
    at: int,
    signer: str,
    code: str | None,
) -> None:
    listed = list_of(entry(other, "cards", "card-authentication"))
    (tmp_path / "list.cose").write_bytes(signed(scheme if signer == "ashcombe" else other, listed))
    (tmp_path / "guest.crt").write_bytes(guest.certificate.public_bytes(Encoding.PEM))
    done = run(
        *("verify", tmp_path / "guest.crt", "--purpose", purpose, "--trust", scheme.public_dir),
        *("--trust-list", tmp_path / "list.cose", "--crl", other.public_dir / "cards.crl"),
        *("--at", (START + at * DAY).isoformat(), "--json"),
    )
    facts: dict[str, Any] = json.loads(done.stdout)
    if code is None:
        assert (done.returncode, facts["identity"], facts["recognised"]) == (0, CARD, "beckford")
    else:
        assert (done.returncode, facts["valid"], facts["code"]) == (1, False, code)
