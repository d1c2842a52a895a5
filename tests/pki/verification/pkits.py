"""NIST's Public Key Interoperability Test Suite, version 1.0.1, as `cryptography-vectors` carries it.

The suite's document says of each test what it expects. Its file names say it, too: ValidX and InvalidX; the
tests of certificate policies, which are run with several inputs, and the few files with other names are in
the table below, with the sections of the document.

Each test has certificates and lists of its own: those of the authorities on the way from its end entity to
the trust anchor, and of those that sign lists for them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cryptography_vectors
from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509

from pki.verification import PolicyInputs

FOLDER = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
ANCHOR = "TrustAnchorRootCertificate"
# NIST's own arc for the suite: its document, 3.1, NIST-test-policy-1 and so on
_POLICY = "2.16.840.1.101.3.2.1.48."

DEFAULT = PolicyInputs()
EXPLICIT = PolicyInputs(explicit_policy=True)


def wanted(*numbers: int, explicit: bool = False) -> PolicyInputs:
    """An initial policy set of NIST-test-policy-N."""
    return PolicyInputs(frozenset(f"{_POLICY}{number}" for number in numbers), explicit_policy=explicit)


# Section of the document, end entity, then inputs and whether the path is valid with them
POLICY_TESTS: tuple[tuple[str, str, tuple[tuple[PolicyInputs, bool], ...]], ...] = (
    (
        "4.8.1",
        "ValidCertificatePathTest1EE",
        (
            (EXPLICIT, True),
            (wanted(1, explicit=True), True),
            (wanted(2, explicit=True), False),
            (wanted(1, 2, explicit=True), True),
        ),
    ),
    ("4.8.2", "AllCertificatesNoPoliciesTest2EE", ((DEFAULT, True), (EXPLICIT, False))),
    (
        "4.8.3",
        "DifferentPoliciesTest3EE",
        ((DEFAULT, True), (EXPLICIT, False), (wanted(1, 2, explicit=True), False)),
    ),
    ("4.8.4", "DifferentPoliciesTest4EE", ((DEFAULT, False),)),
    ("4.8.5", "DifferentPoliciesTest5EE", ((DEFAULT, False),)),
    ("4.8.6", "OverlappingPoliciesTest6EE", ((DEFAULT, True), (wanted(1), True), (wanted(2), False))),
    ("4.8.7", "DifferentPoliciesTest7EE", ((DEFAULT, False),)),
    ("4.8.8", "DifferentPoliciesTest8EE", ((DEFAULT, False),)),
    ("4.8.9", "DifferentPoliciesTest9EE", ((DEFAULT, False),)),
    (
        "4.8.10",
        "AllCertificatesSamePoliciesTest10EE",
        ((DEFAULT, True), (wanted(1), True), (wanted(2), True)),
    ),
    ("4.8.11", "AllCertificatesanyPolicyTest11EE", ((DEFAULT, True), (wanted(1), True))),
    ("4.8.12", "DifferentPoliciesTest12EE", ((DEFAULT, False),)),
    (
        "4.8.13",
        "AllCertificatesSamePoliciesTest13EE",
        ((wanted(1), True), (wanted(2), True), (wanted(3), True)),
    ),
    ("4.8.14", "AnyPolicyTest14EE", ((wanted(1), True), (wanted(2), False))),
    ("4.8.15", "UserNoticeQualifierTest15EE", ((DEFAULT, True),)),
    ("4.8.16", "UserNoticeQualifierTest16EE", ((DEFAULT, True),)),
    ("4.8.17", "UserNoticeQualifierTest17EE", ((DEFAULT, True),)),
    ("4.8.18", "UserNoticeQualifierTest18EE", ((wanted(1), True), (wanted(2), True))),
    ("4.8.19", "UserNoticeQualifierTest19EE", ((DEFAULT, True),)),
    ("4.8.20", "CPSPointerQualifierTest20EE", ((DEFAULT, True),)),
    (
        "4.10.1",
        "ValidPolicyMappingTest1EE",
        ((wanted(1), True), (wanted(2), False), (PolicyInputs(inhibit_mapping=True), False)),
    ),
    (
        "4.10.2",
        "InvalidPolicyMappingTest2EE",
        ((DEFAULT, False), (PolicyInputs(inhibit_mapping=True), False)),
    ),
    ("4.10.3", "ValidPolicyMappingTest3EE", ((wanted(1), False), (wanted(2), True))),
    ("4.10.5", "ValidPolicyMappingTest5EE", ((wanted(1), True), (wanted(6), False))),
    ("4.10.6", "ValidPolicyMappingTest6EE", ((wanted(1), True), (wanted(6), False))),
    ("4.10.12", "ValidPolicyMappingTest12EE", ((wanted(1), True), (wanted(2), True))),
    (
        "4.12.3",
        "inhibitAnyPolicyTest3EE",
        ((DEFAULT, True), (PolicyInputs(inhibit_any_policy=True), False)),
    ),
)


@dataclass(frozen=True)
class PkitsTest:
    """One run of one test."""

    end_entity: str
    inputs: PolicyInputs
    valid: bool
    # Its section where it is one of the table
    section: str = ""
    run: int = 1

    def __str__(self) -> str:
        return f"{self.section} {self.end_entity} {self.run}".strip()


def tests() -> Iterator[PkitsTest]:
    """Every test of the suite."""
    in_table = set()
    for section, end_entity, runs in POLICY_TESTS:
        in_table.add(end_entity)
        for run, (inputs, valid) in enumerate(runs, 1):
            yield PkitsTest(end_entity, inputs, valid, section, run)
    # 4.1.1 is the same file with the default inputs
    in_table.discard("ValidCertificatePathTest1EE")
    for path in sorted((FOLDER / "certs").glob("*EE.crt")):
        if path.stem not in in_table:
            yield PkitsTest(path.stem, DEFAULT, path.stem.startswith("Valid"))


@dataclass(frozen=True)
class Material:
    """What a test is run with, besides the anchor and the end entity."""

    intermediates: tuple[x509.Certificate, ...]
    crls: tuple[x509.CertificateRevocationList, ...]


def material(end_entity: str) -> Material:
    """The authorities above an end entity, those that sign lists for them, and these lists."""
    names, certificates = _closure(end_entity)
    lists = [der for der, issuer in _lists() if issuer in names]
    return Material(
        tuple(x509.load_der_x509_certificate(der) for der in certificates),
        tuple(x509.load_der_x509_crl(der) for der in lists),
    )


def certificate(stem: str) -> x509.Certificate:
    """A certificate of the suite. Raises ValueError where `cryptography` does not take it."""
    return x509.load_der_x509_certificate((FOLDER / "certs" / f"{stem}.crt").read_bytes())


def _closure(end_entity: str) -> tuple[set[str], list[bytes]]:
    """Names upwards from the end entity, and the authorities' certificates of these names."""
    leaf = _parsed(end_entity)
    names: set[str] = set(_issuers(leaf))
    found: list[tuple[str, asn1_x509.Certificate]] = []
    while True:
        added = [
            (stem, authority)
            for stem, authority in _authorities()
            if authority.subject.hashable in names and stem not in {known for known, _ in found}
        ]
        if not added:
            return names, [(FOLDER / "certs" / f"{stem}.crt").read_bytes() for stem, _ in found]
        found += added
        names |= {name for _, authority in added for name in _issuers(authority)}


def _issuers(parsed: asn1_x509.Certificate) -> Iterable[str]:
    """Its issuer, and who signs lists about it (RFC 5280, 4.2.1.13)."""
    yield parsed.issuer.hashable
    for point in parsed.crl_distribution_points_value or ():
        for name in point["crl_issuer"] or ():
            yield name.chosen.hashable


@cache
def _authorities() -> tuple[tuple[str, asn1_x509.Certificate], ...]:
    stems = [path.stem for path in sorted((FOLDER / "certs").glob("*Cert.crt"))]
    return tuple((stem, _parsed(stem)) for stem in stems)


@cache
def _lists() -> tuple[tuple[bytes, str], ...]:
    ders = [path.read_bytes() for path in sorted((FOLDER / "crls").glob("*.crl"))]
    return tuple((der, asn1_crl.CertificateList.load(der).issuer.hashable) for der in ders)


def _parsed(stem: str) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load((FOLDER / "certs" / f"{stem}.crt").read_bytes())
