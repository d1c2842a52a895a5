"""Certificates, chains and lists with something changed: never accepted, no crash, only our own errors."""

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from pki.errors import PkiError, StatusUnknown
from pki.reading import read_certificate, read_crl
from pki.verification import NOT_REQUIRED, CrlEvidence, OcspEvidence, Purpose, Verifier
from tests.pki.conftest import START
from tests.pki.mutations import MUTATED, mutations
from tests.pki.verification.chains import Listing, chain, crl, usual
from tests.pki.verification.test_status import SHARDED, ocsp_response

MADE = chain(*usual())
CRLS = (crl(MADE.holders[0], Listing()), crl(MADE.issuing, Listing()))
TRUST = MADE.trust(CRLS)
VERIFIER = Verifier(TRUST)
LEAF = MADE.leaf.public_bytes(Encoding.DER)
AUTHORITY = MADE.issuing.certificate.public_bytes(Encoding.DER)
LIST = CRLS[1].public_bytes(Encoding.DER)
RESPONSE = ocsp_response(MADE)

# `cryptography` warns of some oddities that a mutation makes; that is no crash.
pytestmark = pytest.mark.filterwarnings("ignore")


def loosely(der: bytes) -> x509.Certificate:
    """As somebody else may have read it: `cryptography` looks at the inside only when it is asked for it."""
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        reject()


def test_unchanged_they_are_accepted() -> None:
    """Else the rest would say nothing."""
    VERIFIER.verify(read_certificate(LEAF), Purpose.TERMINAL, START)
    assert list(OcspEvidence([RESPONSE]).about(MADE.leaf, MADE.issuing.certificate))
    assert list(CrlEvidence([x509.load_der_x509_crl(LIST)]).about(MADE.leaf, MADE.issuing.certificate))


@settings(MUTATED, max_examples=1_000)
@given(changed=mutations(LEAF), strictly=st.booleans())
def test_a_certificate(changed: bytes, strictly: bool) -> None:
    with pytest.raises(PkiError):
        VERIFIER.verify((read_certificate if strictly else loosely)(changed), Purpose.TERMINAL, START)


@settings(MUTATED, max_examples=500)
@given(changed=mutations(AUTHORITY))
def test_an_authority_of_the_chain(changed: bytes) -> None:
    trust = replace(TRUST, intermediates=(loosely(changed),))
    with pytest.raises(PkiError):
        Verifier(trust).verify(MADE.leaf, Purpose.TERMINAL, START, NOT_REQUIRED)


@settings(MUTATED, max_examples=300)
@given(changed=mutations(LIST))
def test_a_list(changed: bytes) -> None:
    """It clears nobody: either it cannot be read, or it is not its authority's."""
    try:
        found = read_crl(changed)
    except PkiError:
        return
    with pytest.raises(StatusUnknown):
        Verifier(MADE.trust((CRLS[0], found))).verify(MADE.leaf, Purpose.TERMINAL, START)


@settings(MUTATED, max_examples=300)
@given(changed=mutations(RESPONSE))
def test_a_response(changed: bytes) -> None:
    findings = list(OcspEvidence([changed]).about(MADE.leaf, MADE.issuing.certificate))
    # What is outside of what is signed may change: the enclosed certificates, and an empty place for them
    assert all(finding.revocation is None for finding in findings)


@settings(MUTATED, max_examples=300)
@given(data=st.binary(max_size=64) | st.binary(max_size=8).map(lambda head: head + LEAF[8:]))
def test_anything(data: bytes) -> None:
    with pytest.raises(PkiError):
        VERIFIER.verify(read_certificate(data), Purpose.TERMINAL, START)
    assert list(OcspEvidence([data]).about(SHARDED.leaf, SHARDED.issuing.certificate)) == []
