"""Chains that hold, and chains that do not: each fails for the reason that its test names.

root (pathlen 1) -> cards | terminals | service (pathlen 0) -> leaf; a revocation list of each authority.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import (
    CertificateExpired,
    CertificateNotYetValid,
    CertificateRevoked,
    ChainInvalid,
    PurposeRefused,
    StatusStale,
    StatusUnknown,
    VerificationError,
)
from pki.profiles import CARD_AUTHENTICATION
from pki.scheme import Scheme, create_scheme
from pki.verification import Purpose, TrustStore, verify
from tests.pki.conftest import CARD, IDENTITIES, PASSPHRASE, START, csr_for, issue, new_key

DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_certificate_holds_for_its_purpose(scheme: Scheme, purpose: Purpose) -> None:
    """RFC 5280, 6.1: accepted, with the identity and the evidence that was used."""
    issued = issue(scheme, purpose.value)
    verified = verify(issued.certificate, purpose, START, scheme.trust_store())
    assert verified.identity == IDENTITIES[purpose.value]
    assert verified.public_key == issued.key.public_key()
    certificates = scheme.certificates
    assert verified.chain == (certificates[purpose.profile.authority], certificates["root"])
    assert [crl.issuer for crl in verified.crls] == [c.subject for c in verified.chain]


@pytest.mark.parametrize("profile", [purpose.value for purpose in Purpose])
@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_certificate_holds_for_no_other_purpose(scheme: Scheme, profile: str, purpose: Purpose) -> None:
    """RFC 5280, 4.2.1.12: refused for every purpose but its own."""
    if profile == purpose.value:
        return
    with pytest.raises(PurposeRefused):
        verify(issue(scheme, profile).certificate, purpose, START, scheme.trust_store())


class TestValidity:
    """RFC 5280, 4.1.2.5: both ends are included."""

    @pytest.mark.parametrize(
        ("after_issue", "error"),
        [
            (timedelta(minutes=-5), None),
            (timedelta(minutes=-5) - MILLISECOND, CertificateNotYetValid),
            (30 * DAY, None),
            (30 * DAY + SECOND - MILLISECOND, None),
            (30 * DAY + SECOND, CertificateExpired),
        ],
        ids=str,
    )
    def test_its_ends(
        self, scheme: Scheme, after_issue: timedelta, error: type[VerificationError] | None
    ) -> None:
        issued_at = START + DAY  # later than the authorities, whose own validity would else come first
        certificate = issue(scheme, "card-authentication", issued_at, days=30).certificate
        trust = scheme.trust_store().with_crls([scheme.authority("cards").make_crl(START, 60 * DAY)])
        moment = issued_at + after_issue
        if error is None:
            verify(certificate, Purpose.CARD_AUTHENTICATION, moment, trust)
            return
        with pytest.raises(error, match=CARD):
            verify(certificate, Purpose.CARD_AUTHENTICATION, moment, trust)

    def test_with_its_authority_everything_expires(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        with pytest.raises(CertificateExpired, match="Ashcombe Card Cards"):
            verify(
                certificate,
                Purpose.CARD_AUTHENTICATION,
                START + timedelta(days=11 * 365),
                scheme.trust_store(),
            )

    def test_a_naive_moment_is_refused(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        with pytest.raises(ValueError, match="time zone"):
            verify(
                certificate,
                Purpose.CARD_AUTHENTICATION,
                START.replace(tzinfo=None),
                scheme.trust_store(),
            )


class TestStatus:
    """RFC 5280, 6.3.3."""

    def trust_after_revocation(self, scheme: Scheme, certificate: x509.Certificate) -> TrustStore:
        """The certificate is revoked an hour after START; the list is made a minute later."""
        authority = scheme.authority("cards")
        authority.revoke(certificate.serial_number, START + timedelta(hours=1), "key_compromise")
        crl = authority.make_crl(START + timedelta(hours=1, minutes=1))
        return scheme.trust_store().with_crls([crl])

    @pytest.mark.parametrize(
        ("after_start", "revoked"),
        [
            (timedelta(hours=1) - MILLISECOND, False),
            (timedelta(hours=1), True),
            (timedelta(hours=2), True),
        ],
        ids=str,
    )
    def test_a_revocation_counts_from_its_date_on(
        self, scheme: Scheme, after_start: timedelta, revoked: bool
    ) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        trust = self.trust_after_revocation(scheme, certificate)
        if not revoked:
            verify(certificate, Purpose.CARD_AUTHENTICATION, START + after_start, trust)
            return
        with pytest.raises(CertificateRevoked) as caught:
            verify(certificate, Purpose.CARD_AUTHENTICATION, START + after_start, trust)
        assert caught.value.revoked_at == START + timedelta(hours=1)
        assert caught.value.reason == "key_compromise"

    def test_another_certificate_is_not_revoked_with_it(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        other = issue(scheme, "card-authentication").certificate
        trust = self.trust_after_revocation(scheme, certificate)
        verify(other, Purpose.CARD_AUTHENTICATION, START + timedelta(hours=2), trust)

    def test_without_status_nothing_is_said_of_revocation(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        trust = self.trust_after_revocation(scheme, certificate)
        moment = START + timedelta(hours=2)
        verified = verify(certificate, Purpose.CARD_AUTHENTICATION, moment, trust, require_status=False)
        assert verified.crls == ()

    def test_a_revoked_authority_revokes_what_it_issued(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        root = scheme.authority("root")
        root.revoke(scheme.certificates["cards"].serial_number, START + SECOND, "ca_compromise")
        trust = scheme.trust_store().with_crls([root.make_crl(START + SECOND)])
        verify(certificate, Purpose.CARD_AUTHENTICATION, START, trust)
        with pytest.raises(CertificateRevoked, match="Ashcombe Card Cards"):
            verify(certificate, Purpose.CARD_AUTHENTICATION, START + SECOND, trust)

    @pytest.mark.parametrize(("late", "stale"), [(timedelta(0), False), (MILLISECOND, True)], ids=str)
    def test_a_list_that_was_not_renewed_is_stale(self, scheme: Scheme, late: timedelta, stale: bool) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        moment = START + 7 * DAY + late
        if not stale:
            verify(certificate, Purpose.CARD_AUTHENTICATION, moment, scheme.trust_store())
            return
        with pytest.raises(StatusStale) as caught:
            verify(certificate, Purpose.CARD_AUTHENTICATION, moment, scheme.trust_store())
        assert caught.value.next_update == START + 7 * DAY

    def test_a_stale_list_that_names_the_certificate_still_revokes_it(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        trust = self.trust_after_revocation(scheme, certificate)
        with pytest.raises(CertificateRevoked):
            verify(certificate, Purpose.CARD_AUTHENTICATION, START + 30 * DAY, trust)

    def test_a_stale_list_of_the_root_is_stale_for_the_authority(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        crl = scheme.authority("cards").make_crl(START, timedelta(days=500))
        trust = scheme.trust_store().with_crls([crl])
        with pytest.raises(StatusStale, match="Ashcombe Card Cards"):
            verify(certificate, Purpose.CARD_AUTHENTICATION, START + timedelta(days=401), trust)

    def test_without_a_list_the_status_is_unknown(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        subject = scheme.certificates["cards"].subject
        trust = scheme.trust_store()
        trust = replace(trust, crls=tuple(crl for crl in trust.crls if crl.issuer != subject))
        with pytest.raises(StatusUnknown, match=CARD):
            verify(certificate, Purpose.CARD_AUTHENTICATION, START, trust)

    def test_a_list_of_another_key_under_the_same_name_counts_for_nothing(self, scheme: Scheme) -> None:
        """A forged list neither clears a certificate nor pushes out the authority's own."""
        certificate = issue(scheme, "card-authentication").certificate
        trust = self.trust_after_revocation(scheme, certificate)
        forged = self.forged_list(scheme, number=1000)
        moment = START + timedelta(hours=2)
        for store in (trust.with_crls([forged]), replace(trust, crls=(*trust.crls, forged))):
            with pytest.raises(CertificateRevoked):
                verify(certificate, Purpose.CARD_AUTHENTICATION, moment, store)
        own_left_out = tuple(crl for crl in trust.crls if crl.issuer != forged.issuer)
        with pytest.raises(StatusUnknown):
            verify(
                certificate,
                Purpose.CARD_AUTHENTICATION,
                moment,
                replace(trust, crls=(*own_left_out, forged)),
            )

    def forged_list(self, scheme: Scheme, number: int) -> x509.CertificateRevocationList:
        return (
            x509.CertificateRevocationListBuilder()
            .issuer_name(scheme.certificates["cards"].subject)
            .last_update(START + DAY)
            .next_update(START + 30 * DAY)
            .add_extension(x509.CRLNumber(number), critical=False)
            .sign(new_key(), hashes.SHA256())
        )

    def test_a_partial_list_counts_for_nothing(self, scheme: Scheme) -> None:
        """RFC 5280, 5.2.5: a list of some reasons only says so critically; such a one is not complete."""
        certificate = issue(scheme, "card-authentication").certificate
        partial = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(scheme.certificates["cards"].subject)
            .last_update(START)
            .next_update(START + DAY)
            .add_extension(x509.CRLNumber(1000), critical=False)
            .add_extension(
                x509.IssuingDistributionPoint(None, None, True, False, None, False, False), critical=True
            )
            .sign(scheme.key_store.private_key("cards"), hashes.SHA256())
        )
        trust = scheme.trust_store()
        subject = scheme.certificates["cards"].subject
        trust = replace(trust, crls=(*(c for c in trust.crls if c.issuer != subject), partial))
        with pytest.raises(StatusUnknown):
            verify(certificate, Purpose.CARD_AUTHENTICATION, START, trust)

    def test_the_newest_of_several_lists_counts(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        trust = self.trust_after_revocation(scheme, certificate)
        older_and_newer = (*scheme.trust_store().crls, *trust.crls)
        for crls in (older_and_newer, tuple(reversed(older_and_newer))):
            with pytest.raises(CertificateRevoked):
                verify(
                    certificate,
                    Purpose.CARD_AUTHENTICATION,
                    START + timedelta(hours=2),
                    replace(trust, crls=crls),
                )


class TestIssuer:
    """RFC 5280, 6.1.3 (a)."""

    def test_another_scheme_is_not_trusted(
        self, scheme: Scheme, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        other = create_scheme(
            tmp_path_factory.mktemp("other") / "scheme", "thornfield", "Thornfield", PASSPHRASE, None, START
        )
        certificate = issue(other, "card-authentication").certificate
        with pytest.raises(ChainInvalid, match="CN=Thornfield Cards,O=Thornfield is not trusted"):
            verify(certificate, Purpose.CARD_AUTHENTICATION, START, scheme.trust_store())

    def test_a_scheme_of_the_same_name_is_another(
        self, scheme: Scheme, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        namesake = create_scheme(
            tmp_path_factory.mktemp("other") / "scheme", scheme.id, scheme.name, PASSPHRASE, None, START
        )
        certificate = issue(namesake, "card-authentication").certificate
        with pytest.raises(ChainInvalid, match="has not signed"):
            verify(certificate, Purpose.CARD_AUTHENTICATION, START, scheme.trust_store())

    def test_an_authority_of_another_root_is_not_trusted(
        self, scheme: Scheme, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        namesake = create_scheme(
            tmp_path_factory.mktemp("other") / "scheme", scheme.id, scheme.name, PASSPHRASE, None, START
        )
        certificate = issue(namesake, "card-authentication").certificate
        foreign = namesake.trust_store()
        trust = replace(scheme.trust_store(), intermediates=foreign.intermediates, crls=foreign.crls)
        with pytest.raises(ChainInvalid, match="Ashcombe Card: its issuer's key has not signed it"):
            verify(certificate, Purpose.CARD_AUTHENTICATION, START, trust)

    def test_without_the_issuing_authority_there_is_no_chain(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        trust = replace(scheme.trust_store(), intermediates=())
        with pytest.raises(ChainInvalid, match="is not trusted here"):
            verify(certificate, Purpose.CARD_AUTHENTICATION, START, trust)

    def test_an_authority_is_no_leaf(self, scheme: Scheme) -> None:
        trust = scheme.trust_store()
        trust = replace(trust, intermediates=(*trust.intermediates, *trust.roots))
        with pytest.raises(ChainInvalid, match="is an authority's certificate"):
            verify(scheme.certificates["cards"], Purpose.CARD_AUTHENTICATION, START, trust)

    def test_a_card_cannot_issue(self, scheme: Scheme) -> None:
        """RFC 5280, 6.1.4 (k): a leaf's key signs another leaf."""
        card = issue(scheme, "card-authentication")
        below = self.signed_by(card.certificate, card.key)
        trust = scheme.trust_store()
        trust = replace(trust, intermediates=(card.certificate,), roots=(*trust.roots, *trust.intermediates))
        with pytest.raises(ChainInvalid, match=f"{CARD}: is not an authority's"):
            verify(below, Purpose.CARD_AUTHENTICATION, START, trust)

    def test_an_issuing_authority_can_have_none_below_it(self, scheme: Scheme) -> None:
        """RFC 5280, 6.1.4 (l): pathlen 0 in the place of a root."""
        key = scheme.key_store.private_key("cards")
        sub_key = new_key()
        sub = self.signed_by(scheme.certificates["cards"], key, sub_key, self.authority_extensions())
        below = self.signed_by(sub, sub_key)
        trust = replace(scheme.trust_store(), roots=(scheme.certificates["cards"],), intermediates=(sub,))
        with pytest.raises(ChainInvalid, match="may have no authority below it"):
            verify(below, Purpose.CARD_AUTHENTICATION, START, trust)

    def test_an_authority_must_be_allowed_to_sign_lists(self, scheme: Scheme) -> None:
        """RFC 5280, 4.2.1.3."""
        scheme_root = scheme.certificates["root"]
        sub_key = new_key()
        root_key = scheme.root_key_store.private_key("root")
        sub = self.signed_by(scheme_root, root_key, sub_key, self.authority_extensions(crl_sign=False))
        below = self.signed_by(sub, sub_key)
        trust = replace(scheme.trust_store(), intermediates=(sub,))
        with pytest.raises(ChainInvalid, match="may not sign certificates and revocation lists"):
            verify(below, Purpose.CARD_AUTHENTICATION, START, trust)

    def test_an_unknown_critical_extension_refuses(self, scheme: Scheme) -> None:
        """RFC 5280, 4.2."""
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.32473.9.9"), b"\x05\x00")
        certificate = self.signed_by(
            scheme.certificates["cards"],
            scheme.key_store.private_key("cards"),
            extensions=[(unknown, True)],
        )
        with pytest.raises(ChainInvalid, match=r"1\.3\.6\.1\.4\.1\.32473\.9\.9"):
            verify(certificate, Purpose.CARD_AUTHENTICATION, START, scheme.trust_store())

    def test_another_curve_refuses(self, scheme: Scheme) -> None:
        certificate = self.signed_by(
            scheme.certificates["cards"],
            scheme.key_store.private_key("cards"),
            ec.generate_private_key(ec.SECP384R1()),
        )
        with pytest.raises(ChainInvalid, match="P-256"):
            verify(certificate, Purpose.CARD_AUTHENTICATION, START, scheme.trust_store())

    def signed_by(
        self,
        issuer: x509.Certificate,
        issuer_key: ec.EllipticCurvePrivateKey,
        key: ec.EllipticCurvePrivateKey | None = None,
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "made by hand")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer.subject)
            .public_key((key or new_key()).public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(START)
            .not_valid_after(START + DAY)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(issuer_key, hashes.SHA256())

    def authority_extensions(self, *, crl_sign: bool = True) -> list[tuple[x509.ExtensionType, bool]]:
        usage = x509.KeyUsage(False, False, False, False, False, True, crl_sign, False, False)
        return [(x509.BasicConstraints(ca=True, path_length=0), True), (usage, True)]


class TestPurpose:
    """What is sound but meant for something else."""

    def test_an_authority_cannot_issue_for_another_ones_purpose(self, scheme: Scheme) -> None:
        """The terminals' key signs a card certificate that is right in everything but its issuer."""
        key = new_key()
        authority = scheme.authority("terminals")
        authority.name = "cards"  # past the check at issuing, as a thief of the key would
        forged = authority.issue(csr_for(key), CARD_AUTHENTICATION, CARD, START)
        with pytest.raises(PurposeRefused, match="Ashcombe Card Terminals"):
            verify(forged, Purpose.CARD_AUTHENTICATION, START, scheme.trust_store())

    @pytest.mark.parametrize(
        ("subject", "urn"),
        [
            (CARD, "urn:uuid:0192f0a1-7b3c-4d5e-8f90-a1b2c3d4e5f7"),
            (CARD, "https://cards.example/"),
            (CARD.upper(), f"urn:uuid:{CARD}"),
        ],
    )
    def test_the_two_names_of_a_card_must_agree(self, scheme: Scheme, subject: str, urn: str) -> None:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(urn)])
        issued = issue(scheme, "card-authentication").certificate
        certificate = self.rebuilt(scheme, issued, names, subject=subject)
        with pytest.raises(PurposeRefused, match="names are not in order"):
            verify(certificate, Purpose.CARD_AUTHENTICATION, START, scheme.trust_store())

    @pytest.mark.parametrize(
        "extension",
        [
            x509.ExtendedKeyUsage([x509.ObjectIdentifier("2.16.840.1.101.3.6.7")]),
            x509.KeyUsage(False, False, False, False, True, False, False, False, False),
            x509.CertificatePolicies(
                [x509.PolicyInformation(x509.ObjectIdentifier("1.3.6.1.4.1.99999.7.2.1"), None)]
            ),
        ],
        ids=["another usage", "a key that may not sign", "another scheme's policy"],
    )
    def test_each_of_these_must_be_right_in_the_leaf(
        self, scheme: Scheme, extension: x509.ExtensionType
    ) -> None:
        """The issuing authority would allow it; the certificate itself says something else, or nothing."""
        certificate = issue(scheme, "card-authentication").certificate
        for changed in (
            self.rebuilt(scheme, certificate, extension),
            self.rebuilt(scheme, certificate, extension, leave_out=True),
        ):
            with pytest.raises(PurposeRefused, match=CARD):
                verify(changed, Purpose.CARD_AUTHENTICATION, START, scheme.trust_store())

    def test_another_hash_is_refused(self, scheme: Scheme) -> None:
        certificate = issue(scheme, "card-authentication").certificate
        unchanged = self.rebuilt(scheme, certificate)
        verify(unchanged, Purpose.CARD_AUTHENTICATION, START, scheme.trust_store())
        changed = self.rebuilt(scheme, certificate, digest=hashes.SHA384())
        with pytest.raises(ChainInvalid, match="SHA-256"):
            verify(changed, Purpose.CARD_AUTHENTICATION, START, scheme.trust_store())

    def rebuilt(
        self,
        scheme: Scheme,
        certificate: x509.Certificate,
        replacement: x509.ExtensionType | None = None,
        *,
        subject: str = CARD,
        leave_out: bool = False,
        digest: hashes.SHA256 | hashes.SHA384 | None = None,
    ) -> x509.Certificate:
        """The same certificate, signed again by the cards' key, with one thing changed."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.SERIAL_NUMBER, subject)]))
            .issuer_name(certificate.issuer)
            .public_key(certificate.public_key())
            .serial_number(certificate.serial_number)
            .not_valid_before(certificate.not_valid_before_utc)
            .not_valid_after(certificate.not_valid_after_utc)
        )
        for extension in certificate.extensions:
            value = extension.value
            if replacement is not None and extension.oid == replacement.oid:
                if leave_out:
                    continue
                value = replacement
            builder = builder.add_extension(value, extension.critical)
        return builder.sign(scheme.key_store.private_key("cards"), digest or hashes.SHA256())

    def test_the_arc_is_the_roots_word(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """A scheme below another arc is verified without being told which."""
        directory = tmp_path_factory.mktemp("other") / "scheme"
        other = create_scheme(
            directory, "own", "Own Arc", PASSPHRASE, None, START, oid_arc="1.3.6.1.4.1.99999.7"
        )
        terminal = issue(other, "terminal").certificate
        usages = terminal.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert x509.ObjectIdentifier("1.3.6.1.4.1.99999.7.1.1") in usages
        assert verify(terminal, Purpose.TERMINAL, START, other.trust_store()).identity == "bus-12"
