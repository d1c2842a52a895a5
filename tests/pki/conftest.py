"""A scheme, made once for all tests that only read it, and one to do with as one likes."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pki.profiles import PROFILES
from pki.scheme import Scheme, create_scheme, open_scheme

PASSPHRASE = b"of the tests"
START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
CARD = "0192f0a1-7b3c-4d5e-8f90-a1b2c3d4e5f6"
IDENTITIES = {
    "card-authentication": CARD,
    "holder-authentication": CARD,
    "signature": CARD,
    "terminal": "bus-12",
    "service": "cardservice",
    "staff": "m.jones",
    "content-signer": "issuing-desk",
    "statement-signer": "entitlements",
    "tls-server": "cards.ashcombe.example",
    "ocsp-responder": "responder",
    "trust-list-signer": "trust-list",
}


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def csr_for(key: ec.EllipticCurvePrivateKey) -> x509.CertificateSigningRequest:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "whatever it asks for")])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, as its holder has them."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def issue(scheme: Scheme, profile: str, moment: datetime = START, days: int | None = None) -> Issued:
    key, declared = new_key(), PROFILES[profile]
    authority = scheme.authority(declared.authorities[0])
    return Issued(authority.issue(csr_for(key), declared, IDENTITIES[profile], moment, days), key)


@pytest.fixture(scope="session")
def made_scheme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a scheme; to be read only."""
    directory = tmp_path_factory.mktemp("scheme") / "ashcombe"
    create_scheme(directory, "ashcombe", "Ashcombe Card", PASSPHRASE, None, START)
    return directory


@pytest.fixture
def scheme(made_scheme: Path, tmp_path: Path) -> Scheme:
    """A scheme of the test's own."""
    return open_scheme(Path(shutil.copytree(made_scheme, tmp_path / "ashcombe")), PASSPHRASE)


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Scheme:
    """Another council's scheme."""
    directory = tmp_path_factory.mktemp("other") / "beckford"
    return create_scheme(directory, "beckford", "Beckford Card", PASSPHRASE, None, START)
