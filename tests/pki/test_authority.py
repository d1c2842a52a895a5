"""Issuing, revoking and publishing."""

import itertools
import re
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from pki.authority import BACKDATING, REASONS, Authority, random_serial
from pki.errors import CertificateUnknown, NotHeld, ReasonUnknown, RequestRefused, SerialTaken
from pki.profiles import CARD_AUTHENTICATION, PROFILES, SERVICE, TERMINAL, Profile
from pki.scheme import ISSUING_VALIDITY, Scheme, create_scheme
from tests.pki.conftest import CARD, IDENTITIES, PASSPHRASE, START, csr_for, issue, new_key

DAY = timedelta(days=1)
ARC = "1.3.6.1.4.1.32473"


class TestContent:
    """What stands in a certificate is the profile's and nothing else."""

    @pytest.mark.parametrize("profile", list(PROFILES))
    def test_what_they_all_have(self, scheme: Scheme, profile: str) -> None:
        issued = issue(scheme, profile)
        certificate, extensions = issued.certificate, issued.certificate.extensions
        assert certificate.version is x509.Version.v3
        assert certificate.public_key() == issued.key.public_key()
        assert certificate.issuer == scheme.certificates[PROFILES[profile].authorities[0]].subject
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)
        assert (constraints.critical, constraints.value.ca) == (True, False)
        usage = extensions.get_extension_for_class(x509.KeyUsage)
        # Only what the holder signs with the PIN each time is meant to bind
        only_signing = x509.KeyUsage(
            *(True, profile == "signature", False, False, False, False, False, False, False)
        )
        assert (usage.critical, usage.value) == (True, only_signing)
        policies = extensions.get_extension_for_class(x509.CertificatePolicies).value
        assert [policy.policy_identifier.dotted_string for policy in policies] == [f"{ARC}.2.1"]

    @pytest.mark.parametrize(
        ("profile", "critical", "usages"),
        [
            (CARD_AUTHENTICATION, True, ["2.16.840.1.101.3.6.8"]),
            (TERMINAL, False, ["1.3.6.1.5.5.7.3.2", f"{ARC}.1.1"]),
            (SERVICE, True, [f"{ARC}.1.2"]),
        ],
        ids=lambda value: value.name if isinstance(value, Profile) else "",
    )
    def test_extended_key_usage(
        self, scheme: Scheme, profile: Profile, critical: bool, usages: list[str]
    ) -> None:
        certificate = issue(scheme, profile.name).certificate
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        assert found.critical is critical
        assert [usage.dotted_string for usage in found.value] == usages

    def test_a_card_names_its_uuid_alone(self, scheme: Scheme) -> None:
        """Whoever reads it learns no name, and nothing of what the request asked for."""
        certificate = issue(scheme, "card-authentication").certificate
        assert certificate.subject == x509.Name([x509.NameAttribute(x509.NameOID.SERIAL_NUMBER, CARD)])
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert list(names) == [x509.UniformResourceIdentifier(f"urn:uuid:{CARD}")]
        assert b"whatever it asks for" not in certificate.public_bytes(Encoding.DER)

    def test_a_terminal_has_its_id_as_common_name(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "terminal").certificate
        assert certificate.subject.rfc4514_string() == "CN=bus-12"
        with pytest.raises(x509.ExtensionNotFound):
            certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)

    def test_a_card_certificate_fits_its_container(self, scheme: Scheme) -> None:
        """SP 800-73 gives it 1,856 bytes on the card; a reader at 106 kbit/s would rather have fewer."""
        der = issue(scheme, "card-authentication").certificate.public_bytes(Encoding.DER)
        assert len(der) < 1_000

    def test_where_to_fetch_lists_stands_in_it_where_the_scheme_says(self, tmp_path: Path) -> None:
        scheme = create_scheme(
            *(tmp_path / "s", "ashcombe", "Ashcombe Card", PASSPHRASE, None, START),
            public_url="https://cards.example/pki",
        )
        extensions = issue(scheme, "card-authentication").certificate.extensions
        (point,) = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        assert point.full_name is not None
        (name,) = point.full_name
        assert re.fullmatch(r"https://cards\.example/pki/cards/([0-9]|1[0-5])\.crl", name.value)
        access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        assert [each.access_location.value for each in access] == [
            "https://cards.example/pki/ocsp",
            "https://cards.example/pki/cards.crt",
        ]
        extensions = issue(scheme, "terminal").certificate.extensions
        (point,) = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        assert point.full_name == [x509.UniformResourceIdentifier("https://cards.example/pki/terminals.crl")]

    def test_serial_numbers_are_128_random_bits(self) -> None:
        serials = [random_serial() for _ in range(1000)]
        assert len(set(serials)) == 1000
        assert all(0 < serial < 2**128 for serial in serials)
        assert max(serials) > 2**127


class TestValidity:
    """Never beyond the issuer's."""

    @pytest.mark.parametrize("profile", list(PROFILES))
    def test_by_default_the_profiles(self, scheme: Scheme, profile: str) -> None:
        moment = START + DAY
        certificate = issue(scheme, profile, moment).certificate
        assert certificate.not_valid_before_utc == moment - BACKDATING
        expected = moment + timedelta(days=PROFILES[profile].validity_days)
        assert certificate.not_valid_after_utc == expected

    def test_as_asked_for(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "terminal", days=30).certificate
        assert certificate.not_valid_after_utc == START + 30 * DAY

    @pytest.mark.parametrize("days", [0, -1])
    def test_less_than_a_day_is_refused(self, scheme: Scheme, days: int) -> None:
        with pytest.raises(RequestRefused, match="a day at least"):
            issue(scheme, "terminal", days=days)

    def test_it_never_outlives_its_issuer(self, scheme: Scheme) -> None:
        issuer = scheme.certificates["cards"]
        for moment, days in ((START, 100_000), (START + ISSUING_VALIDITY - DAY, None)):
            certificate = issue(scheme, "card-authentication", moment, days).certificate
            assert certificate.not_valid_after_utc == issuer.not_valid_after_utc

    def test_it_never_begins_before_its_issuer(self, scheme: Scheme) -> None:
        issuer = scheme.certificates["cards"]
        moment = issuer.not_valid_before_utc
        assert (
            issue(scheme, "card-authentication", moment).certificate.not_valid_before_utc
            == issuer.not_valid_before_utc
        )

    def test_no_authority_outlives_its_root(self, scheme: Scheme) -> None:
        root = scheme.authority("root")
        certificate = root.issue_authority(
            *(x509.Name([]), new_key().public_key(), (), "x", START), validity=timedelta(days=100_000)
        )
        assert certificate.not_valid_after_utc == root.certificate.not_valid_after_utc

    @pytest.mark.parametrize("moment", [START - DAY, START + ISSUING_VALIDITY], ids=str)
    def test_nothing_is_issued_outside_the_issuers(self, scheme: Scheme, moment: object) -> None:
        with pytest.raises(RequestRefused, match="no valid certificate"):
            issue(scheme, "terminal", moment)  # type: ignore[arg-type]  # a datetime, as parametrised

    def test_a_naive_moment_is_refused(self, scheme: Scheme) -> None:
        with pytest.raises(ValueError, match="time zone"):
            issue(scheme, "terminal", START.replace(tzinfo=None))


class TestRequests:
    """What a request must be."""

    def test_it_is_signed_by_its_own_key(self, scheme: Scheme) -> None:
        """RFC 2986, 3: another key under the same signature."""
        key, other = new_key(), new_key()
        der = csr_for(key).public_bytes(Encoding.DER)
        forged = der.replace(_point(key), _point(other))
        assert forged != der
        with pytest.raises(RequestRefused, match="not signed by its own key"):
            _authority(scheme).issue(x509.load_der_x509_csr(forged), CARD_AUTHENTICATION, CARD, START)

    def test_a_broken_signature_is_refused(self, scheme: Scheme) -> None:
        der = bytearray(csr_for(new_key()).public_bytes(Encoding.DER))
        der[-1] ^= 1
        with pytest.raises(RequestRefused, match="not signed by its own key"):
            _authority(scheme).issue(x509.load_der_x509_csr(bytes(der)), CARD_AUTHENTICATION, CARD, START)

    @pytest.mark.parametrize("digest", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
    def test_with_any_hash_it_is_checked(
        self, scheme: Scheme, digest: hashes.SHA256 | hashes.SHA384 | hashes.SHA512
    ) -> None:
        """RFC 5758, 3.2; the usual one is checked another way than the rest."""
        key = new_key()
        csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, digest)
        issued = _authority(scheme).issue(csr, CARD_AUTHENTICATION, CARD, START)
        assert issued.public_key() == key.public_key()
        broken = bytearray(csr.public_bytes(Encoding.DER))
        broken[-1] ^= 1
        with pytest.raises(RequestRefused, match="not signed by its own key"):
            _authority(scheme).issue(x509.load_der_x509_csr(bytes(broken)), CARD_AUTHENTICATION, CARD, START)

    @pytest.mark.parametrize(
        "key",
        [
            ec.generate_private_key(ec.SECP384R1()),
            ec.generate_private_key(ec.SECP256K1()),
            rsa.generate_private_key(65537, 2048),
        ],
        ids=["P-384", "secp256k1", "RSA"],
    )
    def test_only_p256(self, scheme: Scheme, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
        csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        with pytest.raises(RequestRefused, match="P-256"):
            _authority(scheme).issue(csr, CARD_AUTHENTICATION, CARD, START)

    @pytest.mark.parametrize(
        ("profile", "identity"),
        [
            (CARD_AUTHENTICATION, "bus-12"),
            (CARD_AUTHENTICATION, CARD.upper()),
            (CARD_AUTHENTICATION, CARD.replace("-", "")),
            (CARD_AUTHENTICATION, ""),
            (TERMINAL, ""),
            (TERMINAL, "t" * 65),
        ],
        ids=lambda value: value.name if isinstance(value, Profile) else repr(value),
    )
    def test_the_identity_is_one_of_the_profile(
        self, scheme: Scheme, profile: Profile, identity: str
    ) -> None:
        with pytest.raises(RequestRefused):
            scheme.authority(profile.authority).issue(csr_for(new_key()), profile, identity, START)
        assert scheme.records(profile.authority).issued(profile.authority) == []

    @pytest.mark.parametrize("profile", [TERMINAL, SERVICE], ids=lambda profile: profile.name)
    def test_an_authority_issues_its_own_profiles_alone(self, scheme: Scheme, profile: Profile) -> None:
        with pytest.raises(RequestRefused, match=profile.authority):
            _authority(scheme).issue(csr_for(new_key()), profile, IDENTITIES[profile.name], START)


class TestRecords:
    """Nothing is handed out that is not recorded."""

    def test_it_is_recorded_before_it_is_returned(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        (recorded,) = scheme.records("cards").find_by_identity("cards", CARD)
        assert recorded.der == certificate.public_bytes(Encoding.DER)
        assert recorded.serial == certificate.serial_number
        assert (recorded.profile, recorded.issued_at) == ("card-authentication", START)
        assert recorded.not_after == certificate.not_valid_after_utc
        assert recorded.revoked_at is None

    def test_what_cannot_be_recorded_is_not_issued(self, scheme: Scheme) -> None:
        """The same serial number twice."""
        authority = _authority(scheme, serials=itertools.repeat(7).__next__)
        authority.issue(csr_for(new_key()), CARD_AUTHENTICATION, CARD, START)
        with pytest.raises(SerialTaken):
            authority.issue(csr_for(new_key()), CARD_AUTHENTICATION, CARD, START)

    def test_what_was_never_issued_cannot_be_revoked(self, scheme: Scheme) -> None:
        with pytest.raises(CertificateUnknown, match="abc"):
            _authority(scheme).revoke(0xABC, START, "superseded")

    @pytest.mark.parametrize("reason", ["", "stolen", "remove_from_crl", "certificate_hold", "keyCompromise"])
    def test_other_reasons_are_refused(self, scheme: Scheme, reason: str) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        with pytest.raises(ReasonUnknown, match="key_compromise"):
            _authority(scheme).revoke(certificate.serial_number, START, reason)

    def test_the_first_revocation_stands(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        authority = _authority(scheme)
        authority.revoke(certificate.serial_number, START, "key_compromise")
        authority.revoke(certificate.serial_number, START + DAY, "superseded")
        recorded = authority.store.find("cards", certificate.serial_number)
        assert recorded is not None
        assert (recorded.revoked_at, recorded.reason) == (START, "key_compromise")


class TestSuspending:
    """certificateHold: the one revocation that can be taken back."""

    def test_it_is_listed_until_it_is_released(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        authority = _authority(scheme)
        authority.suspend(certificate.serial_number, START)
        (entry,) = authority.make_crl(START + DAY)
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        assert reason is x509.ReasonFlags.certificate_hold
        authority.release(certificate.serial_number, START + DAY)
        assert len(authority.make_crl(START + DAY)) == 0

    def test_it_can_end_in_a_revocation(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        authority = _authority(scheme)
        authority.suspend(certificate.serial_number, START)
        authority.revoke(certificate.serial_number, START + DAY, "key_compromise")
        (entry,) = authority.make_crl(START + DAY)
        assert entry.revocation_date_utc == START
        with pytest.raises(NotHeld, match="not suspended"):
            authority.release(certificate.serial_number, START + DAY)

    def test_what_is_not_suspended_is_not_released(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        with pytest.raises(NotHeld):
            _authority(scheme).release(certificate.serial_number, START)
        with pytest.raises(CertificateUnknown):
            _authority(scheme).release(1, START)


class TestLists:
    """RFC 5280, 5."""

    def test_a_list_is_of_its_authority_and_has_the_next_number(self, scheme: Scheme) -> None:
        authority = _authority(scheme)
        first, second = authority.make_crl(START), authority.make_crl(START)
        assert [_number(crl) for crl in (first, second)] == [2, 3]  # 1 was made with the scheme
        assert first.issuer == authority.certificate.subject
        key = authority.certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert first.is_signature_valid(key)
        latest = authority.store.latest_crl("cards")
        assert latest is not None
        assert (latest.number, latest.der) == (3, second.public_bytes(Encoding.DER))

    def test_it_holds_for_a_week_and_never_beyond_its_authority(self, scheme: Scheme) -> None:
        authority = _authority(scheme)
        assert authority.make_crl(START + DAY).next_update_utc == START + 8 * DAY
        assert authority.make_crl(START + DAY).last_update_utc == START + DAY - BACKDATING
        end = authority.certificate.not_valid_after_utc
        assert authority.make_crl(end - DAY).next_update_utc == end

    @pytest.mark.parametrize("reason", sorted(REASONS))
    def test_each_revoked_certificate_is_in_it(self, scheme: Scheme, reason: str) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        authority = _authority(scheme)
        authority.revoke(certificate.serial_number, START + timedelta(milliseconds=1999), reason)
        (entry,) = authority.make_crl(START + DAY)
        assert entry.serial_number == certificate.serial_number
        assert entry.revocation_date_utc == START + timedelta(seconds=1)
        if reason == "unspecified":  # RFC 5280, 5.3.1: left out
            assert len(entry.extensions) == 0
        else:
            assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is REASONS[reason]

    def test_a_list_names_no_other_authorities_certificates(self, scheme: Scheme) -> None:
        terminal = issue(scheme, "terminal").certificate
        scheme.authority("terminals").revoke(terminal.serial_number, START, "superseded")
        assert len(_authority(scheme).make_crl(START)) == 0
        assert len(scheme.authority("terminals").make_crl(START)) == 1


def _authority(scheme: Scheme, **options: object) -> Authority:
    if not options:
        return scheme.authority("cards")
    key = scheme.key_store.private_key("cards")
    return Authority(
        *("cards", scheme.certificates["cards"], key, scheme.records("cards")),
        **options,  # type: ignore[arg-type]  # only `serials`, above
    )


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def _number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
