"""openssl judges our chains and lists as we do, with our files as they are."""

import subprocess
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.profiles.leaves import LEAVES
from pki.scheme import Scheme
from tests.pki.conftest import START, issue

HOUR = timedelta(hours=1)


def openssl_verify(
    scheme: Scheme, certificate: x509.Certificate, authority: str, moment: datetime, *more: str
) -> subprocess.CompletedProcess[str]:
    """`openssl verify` with every list, at a moment; a terminal's or an auditor's command."""
    public = scheme.public_dir
    leaf = scheme.directory / "leaf.crt"
    leaf.write_bytes(certificate.public_bytes(Encoding.PEM))
    lists = [f"-CRLfile={public / f'{name}.crl'}" for name in sorted({"root", authority})]
    return subprocess.run(
        [
            *("openssl", "verify", "-x509_strict", "-crl_check_all"),
            *("-attime", str(int(moment.timestamp())), *lists, *more),
            *("-CAfile", str(public / "root.crt"), "-untrusted", str(public / f"{authority}.crt"), str(leaf)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("profile", "authority"), [(profile.name, profile.authorities[0]) for profile in LEAVES]
)
def test_it_accepts_and_once_revoked_refuses(scheme: Scheme, profile: str, authority: str) -> None:
    certificate = issue(scheme, profile).certificate
    done = openssl_verify(scheme, certificate, authority, START + HOUR)
    assert (done.returncode, done.stdout.strip()) == (0, f"{scheme.directory / 'leaf.crt'}: OK")

    issuer = scheme.authority(authority)
    issuer.revoke(certificate.serial_number, START + HOUR, "key_compromise")
    scheme.publish_crl(authority, issuer.make_crl(START + HOUR))
    done = openssl_verify(scheme, certificate, authority, START + HOUR)
    assert done.returncode != 0
    assert "certificate revoked" in done.stderr

    other = issue(scheme, profile).certificate
    assert openssl_verify(scheme, other, authority, START + HOUR).returncode == 0


def test_it_accepts_with_the_leafs_list_alone(scheme: Scheme) -> None:
    """`-crl_check` as the documents give it."""
    certificate = issue(scheme, "card-authentication").certificate
    leaf, public = scheme.directory / "leaf.crt", scheme.public_dir
    leaf.write_bytes(certificate.public_bytes(Encoding.PEM))
    command = [
        *("openssl", "verify", "-crl_check", "-attime", str(int(START.timestamp()))),
        *("-CAfile", str(public / "root.crt"), "-untrusted", str(public / "cards.crt")),
        *("-CRLfile", str(public / "cards.crl"), str(leaf)),
    ]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("moment", "sentence"),
    [
        (START - HOUR, "not yet valid"),
        (START + timedelta(days=5 * 365, hours=1), "certificate has expired"),
        (START + timedelta(days=8), "CRL has expired"),
    ],
    ids=str,
)
def test_it_refuses_outside_the_validity(scheme: Scheme, moment: datetime, sentence: str) -> None:
    certificate = issue(scheme, "card-authentication").certificate
    done = openssl_verify(scheme, certificate, "cards", moment)
    assert done.returncode != 0
    assert sentence in done.stderr


def test_it_refuses_an_issuer_of_another_name(scheme: Scheme) -> None:
    certificate = issue(scheme, "card-authentication").certificate
    done = openssl_verify(scheme, certificate, "terminals", START)
    assert done.returncode != 0
    assert "unable to get local issuer certificate" in done.stderr


def test_it_takes_a_terminal_for_a_tls_client_and_a_card_not(scheme: Scheme) -> None:
    """The limit in the authority's own certificate is openssl's, too."""
    terminal = issue(scheme, "terminal").certificate
    assert openssl_verify(scheme, terminal, "terminals", START, "-purpose", "sslclient").returncode == 0
    card = issue(scheme, "card-authentication").certificate
    done = openssl_verify(scheme, card, "cards", START, "-purpose", "sslclient")
    assert done.returncode != 0
    assert "purpose" in done.stderr
