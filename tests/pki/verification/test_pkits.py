"""NIST's suite against our full validation: nothing invalid is accepted, and nothing valid is refused."""

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from cryptography import x509

from pki.errors import (
    CertificateExpired,
    CertificateNotYetValid,
    CertificateRevoked,
    StatusStale,
    StatusUnknown,
    VerificationError,
)
from pki.verification import validate_path
from pki.verification.errors import CertificateSignatureInvalid, IssuerUnknown, NameRefused, PolicyRefused
from tests.pki.verification import pkits
from tests.pki.verification.pkits import PkitsTest

# The suite's certificates are valid from 2010 to 2030, but for those about validity.
MOMENT = datetime(2012, 1, 1, tzinfo=UTC)
TESTS = list(pkits.tests())

# Valid by the suite, and refused here: DSA. The first has SHA-1, which is not allowed any more; the second
# inherits its key's parameters from the authority's key, and `cryptography` does not load such a key.
DSA_REFUSED = "ValidDSASignaturesTest4EE"
DSA_UNREADABLE = "ValidDSAParameterInheritanceTest5EE"

# Each kind of error for the reason that the suite's document gives
REASONS = {
    "InvalidCASignatureTest2EE": CertificateSignatureInvalid,
    "InvalidEESignatureTest3EE": CertificateSignatureInvalid,
    "InvalidCAnotBeforeDateTest1EE": CertificateNotYetValid,
    "InvalidEEnotBeforeDateTest2EE": CertificateNotYetValid,
    "InvalidCAnotAfterDateTest5EE": CertificateExpired,
    "InvalidEEnotAfterDateTest6EE": CertificateExpired,
    "InvalidNameChainingTest1EE": IssuerUnknown,
    "InvalidMissingCRLTest1EE": StatusUnknown,
    "InvalidRevokedCATest2EE": CertificateRevoked,
    "InvalidRevokedEETest3EE": CertificateRevoked,
    "InvalidOldCRLnextUpdateTest11EE": StatusStale,
    "InvaliddeltaCRLTest3EE": CertificateRevoked,
    "InvaliddistributionPointTest2EE": CertificateRevoked,
    "DifferentPoliciesTest4EE": PolicyRefused,
    "InvalidrequireExplicitPolicyTest3EE": PolicyRefused,
    "InvalidMappingFromanyPolicyTest7EE": PolicyRefused,
    "InvalidinhibitPolicyMappingTest1EE": PolicyRefused,
    "InvalidinhibitAnyPolicyTest1EE": PolicyRefused,
    "InvalidDNnameConstraintsTest2EE": NameRefused,
    "InvalidDNnameConstraintsTest7EE": NameRefused,
    "InvalidRFC822nameConstraintsTest22EE": NameRefused,
    "InvalidURInameConstraintsTest35EE": NameRefused,
}


@pytest.fixture(autouse=True)
def _loose_certificates() -> Iterator[None]:
    """Some of the suite's certificates are odd on purpose, which `cryptography` warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def run(test: PkitsTest) -> tuple[x509.Certificate, ...]:
    found = pkits.material(test.end_entity)
    return validate_path(
        pkits.certificate(test.end_entity),
        (pkits.certificate(pkits.ANCHOR),),
        found.intermediates,
        found.crls,
        MOMENT,
        status=True,
        policies=test.inputs,
    )


@pytest.mark.parametrize("test", TESTS, ids=str)
def test_pkits(test: PkitsTest) -> None:
    if test.end_entity == DSA_UNREADABLE:
        with pytest.raises(ValueError, match="error parsing asn1 value"):
            pkits.certificate(test.end_entity)
    elif not test.valid or test.end_entity == DSA_REFUSED:
        with pytest.raises(REASONS.get(test.end_entity, VerificationError)):
            run(test)
    else:
        path = run(test)
        assert path[0] == pkits.certificate(pkits.ANCHOR)
        assert path[-1] == pkits.certificate(test.end_entity)


def test_the_suite_is_whole() -> None:
    """Every end entity of the suite, those of the table with all their inputs."""
    files = {path.stem for path in (pkits.FOLDER / "certs").glob("*EE.crt")}
    assert {test.end_entity for test in TESTS} == files
    # The document has 224 tests, of which 4.1.1 and 4.8.1 share a file
    assert len(files) == 223
    assert REASONS.keys() <= files


@pytest.mark.parametrize("reason", ["valid", "invalid"])
def test_with_another_anchor_nothing_is_valid(reason: str) -> None:
    """A test that passes whatever is trusted would say nothing."""
    test = next(each for each in TESTS if each.valid is (reason == "valid"))
    found = pkits.material(test.end_entity)
    with pytest.raises(VerificationError):
        validate_path(
            pkits.certificate(test.end_entity),
            (pkits.certificate("GoodsubCACert"),),
            (),
            found.crls,
            MOMENT,
            status=True,
        )
