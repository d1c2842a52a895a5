"""Every profile's certificate before the world's linters, and the page that shows them."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path

import pytest
from asn1crypto.core import Integer
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID
from pkilint import loader
from pkilint.pkix import certificate, extension, name
from pkilint.validation import ValidationFindingSeverity

from pki.authority import Order, random_serial
from pki.errors import ExtensionMalformed, RequestRefused, SchemeInvalid
from pki.extensions import Publication, status_index_extension, status_index_of
from pki.issuing import Issuer, self_signed_root
from pki.profiles import (
    CARD_AUTHENTICATION,
    HOLDER_AUTHENTICATION,
    ISSUING_AUTHORITY,
    OCSP_RESPONDER,
    PROFILES,
    ROOT_AUTHORITY,
    SIGNATURE,
    TLS_SERVER,
    AuthorityProfile,
    Profile,
    Stated,
    check_arc,
)
from pki.profiles.common import COMMON, CommonField
from pki.profiles.document import profiles_text, with_profiles
from pki.profiles.leaves import LEAVES
from pki.scheme import AUTHORITIES, Scheme, create_scheme
from tests.pki.conftest import CARD, IDENTITIES, PASSPHRASE, START, csr_for, new_key

ROOT = Path(__file__).parents[2]
ARC = "1.3.6.1.4.1.32473"


@dataclass(frozen=True)
class Finding:
    """What the linter has found, and where."""

    code: str
    path: str


def the_one_exception(found: x509.Certificate) -> list[Finding]:
    """RFC 5280, 4.2.1.6 allows a URN and FIPS 201-3 wants the card's; the linter wants a URI with a host.

    Only for a certificate that names a card, at exactly this place: where the linter stops saying so, the
    test fails, and this can go.
    """
    for place, each in enumerate(found.extensions):
        if isinstance(each.value, x509.SubjectAlternativeName):
            urns = each.value.get_values_for_type(x509.UniformResourceIdentifier)
            path = f"certificate.tbsCertificate.extensions.{place}.extnValue.subjectAltName"
            return [
                Finding("pkix.invalid_uri_syntax", f"{path}.{number}.uniformResourceIdentifier")
                for number, urn in enumerate(urns)
                if urn == f"urn:uuid:{CARD}"
            ]
    return []


@pytest.fixture(scope="module", params=[None, "https://cards.example/pki"], ids=["unpublished", "published"])
def linted_scheme(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scheme:
    directory = tmp_path_factory.mktemp("linted") / "ashcombe"
    return create_scheme(
        *(directory, "ashcombe", "Ashcombe Card", PASSPHRASE, None, START), public_url=request.param
    )


def findings(found: x509.Certificate) -> Iterator[Finding]:
    """pkilint's of warning or above."""
    validator = certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )
    der = found.public_bytes(Encoding.DER)
    document = loader.RFC5280CertificateDocumentLoader().load_der_document(der, "certificate")
    for result in validator.validate(document.root):
        for finding in result.finding_descriptions:
            if finding.finding.severity <= ValidationFindingSeverity.WARNING:
                yield Finding(finding.finding.code, result.node.path)


class TestJudges:
    """pkilint finds nothing of warning or above, and openssl nothing against RFC 5280."""

    @pytest.mark.parametrize("profile", LEAVES, ids=lambda profile: profile.name)
    def test_leaves(self, linted_scheme: Scheme, profile: Profile, tmp_path: Path) -> None:
        for authority in profile.authorities:
            issued = linted_scheme.authority(authority).issue(
                csr_for(new_key()), profile, IDENTITIES[profile.name], START
            )
            assert list(findings(issued)) == the_one_exception(issued)
            assert openssl_verify(linted_scheme, issued, tmp_path) == (0, "")

    @pytest.mark.parametrize("authority", AUTHORITIES)
    def test_authorities(self, linted_scheme: Scheme, authority: str, tmp_path: Path) -> None:
        certificate = linted_scheme.certificates[authority]
        assert list(findings(certificate)) == []
        assert openssl_verify(linted_scheme, certificate, tmp_path) == (0, "")

    def test_the_linter_would_say(self) -> None:
        """A certificate without a key identifier."""
        key, named = new_key(), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
        bad = (
            x509.CertificateBuilder()
            .subject_name(named)
            .issuer_name(named)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(START)
            .not_valid_after(START + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
            .sign(key, hashes.SHA256())
        )
        assert list(findings(bad))


def openssl_verify(scheme: Scheme, certificate: x509.Certificate, folder: Path) -> tuple[int, str]:
    """Exit status and objections of `openssl verify`, at its strictest, to the chain and its status."""
    leaf, public = folder / "leaf.crt", scheme.public_dir
    leaf.write_bytes(certificate.public_bytes(Encoding.PEM))
    done = subprocess.run(
        [
            *("openssl", "verify", "-x509_strict", "-crl_check_all", "-attime", str(int(START.timestamp()))),
            *(f"-CRLfile={path}" for path in sorted(public.glob("*.crl"))),
            *("-CAfile", str(public / "root.crt")),
            *(f"-untrusted={public / f'{name}.crt'}" for name in AUTHORITIES if name != "root"),
            str(leaf),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


class TestBytes:
    """Certificates are put together by hand; `cryptography` would have made the same bytes."""

    @pytest.mark.parametrize("profile", LEAVES, ids=lambda profile: profile.name)
    @pytest.mark.parametrize("days", [1, 30 * 365], ids=["soon", "beyond 2050"])
    def test_each_profiles(self, profile: Profile, days: int) -> None:
        root_key = new_key()
        moment = START + timedelta(days=days)
        root = self_signed_root(x509.Name([]), root_key, ARC, moment, 1)
        issuer = Issuer(root, root_key, ARC, Publication("https://cards.example/pki", "x"), random_serial)
        names = issuer.names(profile, IDENTITIES[profile.name], None)
        place = 2**31 - 1 if profile.has_status_index else None
        der = issuer.leaf(profile, names, new_key().public_key(), moment, timedelta(days=30), place)
        issued = x509.load_der_x509_certificate(der)
        issued.verify_directly_issued_by(root)
        builder = (
            x509.CertificateBuilder()
            .subject_name(issued.subject)
            .issuer_name(issued.issuer)
            .public_key(issued.public_key())
            .serial_number(issued.serial_number)
            .not_valid_before(issued.not_valid_before_utc)
            .not_valid_after(issued.not_valid_after_utc)
        )
        for each in issued.extensions:
            builder = builder.add_extension(each.value, each.critical)
        built = builder.sign(root_key, hashes.SHA256())
        assert issued.tbs_certificate_bytes == built.tbs_certificate_bytes
        assert issued.signature_algorithm_oid == built.signature_algorithm_oid


class TestDeclarations:
    """What the profiles say."""

    @pytest.mark.parametrize(
        ("profile", "critical", "usages"),
        [
            ("card-authentication", True, ["2.16.840.1.101.3.6.8"]),
            ("holder-authentication", False, ["1.3.6.1.5.5.7.3.2", f"{ARC}.1.3"]),
            ("signature", False, ["1.3.6.1.5.5.7.3.36", f"{ARC}.1.4"]),
            ("terminal", False, ["1.3.6.1.5.5.7.3.2", f"{ARC}.1.1"]),
            ("service", True, [f"{ARC}.1.2"]),
            ("staff", False, ["1.3.6.1.5.5.7.3.2", f"{ARC}.1.5"]),
            ("content-signer", True, ["2.16.840.1.101.3.6.7"]),
            ("statement-signer", True, [f"{ARC}.1.6"]),
            ("trust-list-signer", True, [f"{ARC}.1.7"]),
            ("ocsp-responder", False, ["1.3.6.1.5.5.7.3.9"]),
            ("tls-server", False, ["1.3.6.1.5.5.7.3.1"]),
        ],
    )
    def test_extended_key_usage(
        self, linted_scheme: Scheme, profile: str, critical: bool, usages: list[str]
    ) -> None:
        declared = PROFILES[profile]
        issuer = linted_scheme.authority(declared.authorities[0])
        issued = issuer.issue(csr_for(new_key()), declared, IDENTITIES[profile], START)
        found = issued.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        assert (found.critical, [usage.dotted_string for usage in found.value]) == (critical, usages)
        assert declared.naming.identity(issued) == IDENTITIES[profile]

    def test_no_two_profiles_can_be_taken_for_each_other(self) -> None:
        decisive = [profile.decisive_usage(ARC) for profile in LEAVES]
        assert len(set(decisive)) == len(LEAVES)
        for profile in LEAVES:
            others = {other.decisive_usage(ARC) for other in LEAVES if other is not profile}
            assert not others & set(profile.usages(ARC))

    def test_nobody_asks_for_the_status_of_a_responder(self, linted_scheme: Scheme) -> None:
        """RFC 6960, 4.2.2.2.1."""
        issuer = linted_scheme.authority("cards")
        issued = issuer.issue(csr_for(new_key()), OCSP_RESPONDER, "responder", START)
        assert issued.extensions.get_extension_for_class(x509.OCSPNoCheck).critical is False
        with pytest.raises(x509.ExtensionNotFound):
            issued.extensions.get_extension_for_class(x509.CRLDistributionPoints)
        assert issued.issuer == issuer.certificate.subject

    def test_the_holders_name_stands_in_a_signature_certificate_alone(self, linted_scheme: Scheme) -> None:
        cards = linted_scheme.authority("cards")
        order = Order(csr=csr_for(new_key()), profile=SIGNATURE, identity=CARD, name="Zoë Field")
        (issued,) = cards.issue_many([order], START)
        assert [attribute.value for attribute in issued.subject] == ["Zoë Field", CARD]
        assert SIGNATURE.naming.identity(issued) == CARD
        for profile in (CARD_AUTHENTICATION, HOLDER_AUTHENTICATION):
            with pytest.raises(RequestRefused, match="no name"):
                cards.issue_many([replace(order, profile=profile)], START)

    @pytest.mark.parametrize("identity", ["", "Cards.example", "a..b", "-a.example", "a_b.example", "a" * 64])
    def test_a_server_has_a_hosts_name(self, linted_scheme: Scheme, identity: str) -> None:
        with pytest.raises(RequestRefused):
            linted_scheme.authority("service").issue(csr_for(new_key()), TLS_SERVER, identity, START)


class TestArc:
    """Under which our identifiers hang."""

    @pytest.mark.parametrize("arc", ["1.3.6.1.4.1.32473", "2.999.5", f"1.3.6.1.4.1.{2**28}"])
    def test_good_ones(self, arc: str) -> None:
        assert check_arc(arc) == arc

    @pytest.mark.parametrize(
        "arc", ["", "1.3", "1.40.1", "3.1.1", "1.3.06", f"1.3.6.1.4.1.{2**28 + 1}", f"2.25.{2**127}", "1.3.x"]
    )
    def test_others_are_refused(self, arc: str) -> None:
        with pytest.raises(ValueError, match=r"object identifier|component"):
            check_arc(arc)

    def test_they_make_no_scheme(self, tmp_path: Path) -> None:
        with pytest.raises(SchemeInvalid, match="component above"):
            create_scheme(
                *(tmp_path / "s", "ashcombe", "Ashcombe", PASSPHRASE, None, START), oid_arc=f"2.25.{2**127}"
            )


class TestStatusIndex:
    """A card's place in the status list."""

    def test_the_certificates_of_a_card_share_one(self, linted_scheme: Scheme) -> None:
        cards = linted_scheme.authority("cards")
        places = []
        for identity in (CARD, "0192f0a1-7b3c-4d5e-8f90-a1b2c3d4e5f7"):
            for profile in (CARD_AUTHENTICATION, HOLDER_AUTHENTICATION, SIGNATURE):
                issued = cards.issue(csr_for(new_key()), profile, identity, START)
                recorded = cards.store.find("cards", issued.serial_number)
                assert recorded is not None
                assert recorded.status_index == status_index_of(issued, ARC)
                assert recorded.status_index is not None
                assert recorded.shard == recorded.status_index // 65_536
                places.append(recorded.status_index)
        assert places[0] == places[1] == places[2] != places[3] == places[4] == places[5]

    @pytest.mark.parametrize("place", [0, 1, 127, 128, 255, 256, 65_535, 2**31 - 1])
    def test_it_is_a_der_integer(self, place: int) -> None:
        """As asn1crypto reads it."""
        value = status_index_extension(ARC, place).value
        assert Integer.load(value, strict=True).native == place

    @pytest.mark.parametrize("place", [-1, 2**31])
    def test_others_have_no_place(self, place: int) -> None:
        with pytest.raises(ValueError, match="a place"):
            status_index_extension(ARC, place)

    @pytest.mark.parametrize("value", ["", "0200", "02020001", "020180", "0401ff", "0209" + "7f" * 9])
    def test_what_we_do_not_write_is_refused(self, value: str) -> None:
        key, named = new_key(), x509.Name([])
        oid = x509.ObjectIdentifier(f"{ARC}.3.1")
        forged = (
            x509.CertificateBuilder()
            .subject_name(named)
            .issuer_name(named)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(START)
            .not_valid_after(START)
            .add_extension(x509.UnrecognizedExtension(oid, bytes.fromhex(value)), critical=False)
            .sign(key, hashes.SHA256())
        )
        with pytest.raises(ExtensionMalformed, match=r"3\.1"):
            status_index_of(forged, ARC)


class TestThePage:
    """docs/pki.md shows the profiles as the code has them."""

    def test_it_is_current(self) -> None:
        page = (ROOT / "docs" / "pki.md").read_text(encoding="utf-8")
        assert with_profiles(page) == page, "run python -m pki.profiles.document docs/pki.md"

    @pytest.mark.parametrize("profile", LEAVES, ids=lambda profile: profile.name)
    def test_every_extension_is_on_it(self, linted_scheme: Scheme, profile: Profile) -> None:
        """None is issued that no table names; of those that all have, each is there where it is published."""
        identity = IDENTITIES[profile.name]
        of_profile = {
            ExtensionOID.KEY_USAGE,
            ExtensionOID.EXTENDED_KEY_USAGE,
            *([ExtensionOID.SUBJECT_ALTERNATIVE_NAME] if profile.naming.alternative_name(identity) else []),
            *([x509.ObjectIdentifier(f"{ARC}.3.1")] if profile.has_status_index else []),
            *([ExtensionOID.OCSP_NO_CHECK] if profile.no_status else []),
        }
        common = {field.extension for field in COMMON if field.extension is not None}
        issued = linted_scheme.authority(profile.authorities[0]).issue(
            csr_for(new_key()), profile, identity, START
        )
        found = {each.oid for each in issued.extensions}
        assert of_profile <= found <= of_profile | common
        where = {ExtensionOID.CRL_DISTRIBUTION_POINTS, ExtensionOID.AUTHORITY_INFORMATION_ACCESS}
        absent = {ExtensionOID.CRL_DISTRIBUTION_POINTS} if profile.no_status else set()
        assert common - found == (absent if linted_scheme.public_url else where)

    def test_each_field_names_its_clause(self) -> None:
        """A clause of a standard, or that it is ours."""
        shown = profiles_text()
        assert all(f"**`{profile.name}`**" in shown for profile in LEAVES)
        rows = [line.split("|") for line in shown.splitlines() if line.startswith("| ")]
        rows = [row for row in rows if row[1] != " field "]
        assert len(rows) > 90
        for row in rows:
            assert re.match(r" (RFC \d+, |FIPS \d+-\d, |SP 800-\d+-\d, |ours\b)", row[3]), row

    @pytest.mark.parametrize(
        "declared", [*LEAVES, *COMMON, ROOT_AUTHORITY, ISSUING_AUTHORITY], ids=lambda declared: declared.name
    )
    def test_what_is_declared_has_its_clause(
        self, declared: Profile | CommonField | AuthorityProfile
    ) -> None:
        """Beside names and switches, whose clause is that of the field that they are about."""
        plain = {"name", "purpose", "authorities", "naming", "extension", "own_extended_key_usage"}
        plain |= {"extended_key_usage_critical", "has_status_index", "no_status"}
        for field in fields(declared):
            value = getattr(declared, field.name)
            assert field.name in plain or (isinstance(value, Stated) and value.clause), field.name
