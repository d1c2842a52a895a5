"""A certification authority: issues by a profile, revokes, and publishes what is revoked."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki.clock import require_aware
from pki.errors import CertificateUnknown, ReasonUnknown, RequestRefused
from pki.profiles import EXAMPLE_ARC, Profile, scheme_policy
from pki.store import CertificateStore, IssuedCertificate

# Ours: a peer whose clock is a little behind must not refuse what was made a moment ago.
BACKDATING = timedelta(minutes=5)
CRL_VALIDITY = timedelta(days=7)

# RFC 5280, 5.3.1, those that mean something for our certificates. A suspended card is the ledger's business:
# certificateHold would need a list without the certificate to end it.
REASONS = {
    reason.name: reason
    for reason in (
        x509.ReasonFlags.unspecified,
        x509.ReasonFlags.key_compromise,
        x509.ReasonFlags.ca_compromise,
        x509.ReasonFlags.affiliation_changed,
        x509.ReasonFlags.superseded,
        x509.ReasonFlags.cessation_of_operation,
        x509.ReasonFlags.privilege_withdrawn,
    )
}


def random_serial() -> int:
    """128 random bits: positive, at most 20 octets (RFC 5280, 4.1.2.2), not to be guessed."""
    return int.from_bytes(os.urandom(16), "big") or random_serial()


class Authority:
    """One issuing key with its certificate and its records."""

    def __init__(
        self,
        name: str,
        certificate: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
        store: CertificateStore,
        *,
        arc: str = EXAMPLE_ARC,
        public_url: str | None = None,
        serials: Callable[[], int] = random_serial,
    ) -> None:
        self.name = name
        self.certificate = certificate
        self.store = store
        self._key = key
        self._arc = arc
        self._public_url = public_url
        self._serials = serials

    def issue(
        self,
        csr: x509.CertificateSigningRequest,
        profile: Profile,
        identity: str,
        moment: datetime,
        validity_days: int | None = None,
    ) -> x509.Certificate:
        """A certificate of this profile for the request's key, recorded before it is returned.

        Of the request only the key counts: the names are the profile's, of `identity`. It is valid from five
        minutes before `moment`, and never beyond the authority's own certificate. Raises RequestRefused, also
        for an identity that the profile cannot name.
        """
        if profile.authority != self.name:
            raise RequestRefused(
                f"a {profile.name} certificate is issued by the authority {profile.authority!r}"
            )
        key = _checked_key(csr)
        days = profile.validity_days if validity_days is None else validity_days
        if days < 1:
            raise RequestRefused("a certificate is valid for a day at least")
        try:
            subject = profile.naming.subject(identity)
        except ValueError as error:
            raise RequestRefused(
                f"{identity!r} cannot stand in a {profile.name} certificate: {error}"
            ) from error
        builder = self._builder(subject, key, moment, timedelta(days=days))
        for extension, critical in self._leaf_extensions(profile, identity, key):
            builder = builder.add_extension(extension, critical)
        return self._record(builder, profile.name, identity, moment)

    def issue_authority(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        usages: tuple[x509.ObjectIdentifier, ...],
        identity: str,
        moment: datetime,
        validity: timedelta,
    ) -> x509.Certificate:
        """The certificate of an authority below this one, which can have none below it; recorded."""
        builder = self._builder(subject, key, moment, validity)
        for extension, critical in authority_extensions(key, self._arc, path_length=0):
            builder = builder.add_extension(extension, critical)
        # RFC 5280, 4.2.1.12 leaves this open for an authority; openssl and others read it as a limit.
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        return self._record(builder, "authority", identity, moment)

    def revoke(self, serial: int, moment: datetime, reason: str) -> None:
        """Revoke as of `moment`; a second revocation changes nothing. Takes effect with the next CRL.

        `reason` is one of REASONS. Raises CertificateUnknown and ReasonUnknown.
        """
        if reason not in REASONS:
            raise ReasonUnknown(f"{reason!r} is no reason; one of {', '.join(REASONS)}")
        if self.store.find(self.name, serial) is None:
            raise CertificateUnknown(f"the authority {self.name!r} has issued no certificate {serial:x}")
        self.store.revoke(self.name, serial, require_aware(moment), reason)

    def make_crl(
        self, moment: datetime, validity: timedelta = CRL_VALIDITY
    ) -> x509.CertificateRevocationList:
        """A new revocation list (RFC 5280, 5), recorded before it is returned."""
        this_update = max(_seconds(moment) - BACKDATING, self.certificate.not_valid_before_utc)
        next_update = min(_seconds(moment) + validity, self.certificate.not_valid_after_utc)
        number = self.store.next_crl_number(self.name)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(this_update)
            .next_update(next_update)
            # RFC 5280, 5.2.3 and 5.2.1
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(self._authority_key_identifier(), critical=False)
        )
        for issued in self.store.revoked(self.name):
            builder = builder.add_revoked_certificate(_entry(issued))
        crl = builder.sign(self._key, hashes.SHA256())
        self.store.record_crl(self.name, number, this_update, next_update, crl.public_bytes(Encoding.DER))
        return crl

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, moment: datetime, validity: timedelta
    ) -> x509.CertificateBuilder:
        start = _seconds(moment)
        own = self.certificate
        if not own.not_valid_before_utc <= start < own.not_valid_after_utc:
            raise RequestRefused(
                f"the authority {self.name!r} has no valid certificate at {start.isoformat()}"
            )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(own.subject)
            .public_key(key)
            .serial_number(self._serials())
            .not_valid_before(max(start - BACKDATING, own.not_valid_before_utc))
            .not_valid_after(min(start + validity, own.not_valid_after_utc))
            .add_extension(self._authority_key_identifier(), critical=False)
        )
        if self._public_url is None:
            return builder
        base = f"{self._public_url}/{self.name}"
        # RFC 5280, 4.2.1.13 and 4.2.2.1
        return builder.add_extension(_crl_location(f"{base}.crl"), critical=False).add_extension(
            _issuer_location(f"{base}.crt"), critical=False
        )

    def _leaf_extensions(
        self, profile: Profile, identity: str, key: ec.EllipticCurvePublicKey
    ) -> list[tuple[x509.ExtensionType, bool]]:
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage(digital_signature=True), True),
            (x509.ExtendedKeyUsage(profile.usages(self._arc)), profile.extended_key_usage_critical),
            (x509.SubjectKeyIdentifier.from_public_key(key), False),
            (_policies(self._arc), False),
        ]
        names = profile.naming.alternative_name(identity)
        if names is not None:
            extensions.append((names, False))
        return extensions

    def _record(
        self, builder: x509.CertificateBuilder, profile: str, identity: str, moment: datetime
    ) -> x509.Certificate:
        certificate = builder.sign(self._key, hashes.SHA256())
        self.store.record(
            IssuedCertificate(
                authority=self.name,
                serial=certificate.serial_number,
                profile=profile,
                identity=identity,
                der=certificate.public_bytes(Encoding.DER),
                not_before=certificate.not_valid_before_utc,
                not_after=certificate.not_valid_after_utc,
                issued_at=require_aware(moment),
            )
        )
        return certificate

    def _authority_key_identifier(self) -> x509.AuthorityKeyIdentifier:
        own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def self_signed_root(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, arc: str, moment: datetime, validity: timedelta
) -> x509.Certificate:
    """The certificate of a root that has authorities below it, and these none."""
    start = _seconds(moment)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(random_serial())
        .not_valid_before(start - BACKDATING)
        .not_valid_after(start + validity)
    )
    for extension, critical in authority_extensions(key.public_key(), arc, path_length=1):
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256())


def authority_extensions(
    key: ec.EllipticCurvePublicKey, arc: str, path_length: int
) -> list[tuple[x509.ExtensionType, bool]]:
    """What every authority's certificate has. RFC 5280, 4.2.1.9, 4.2.1.3, 4.2.1.2, 4.2.1.4."""
    return [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (_key_usage(key_cert_sign=True, crl_sign=True), True),
        (x509.SubjectKeyIdentifier.from_public_key(key), False),
        (_policies(arc), False),
    ]


def _checked_key(csr: x509.CertificateSigningRequest) -> ec.EllipticCurvePublicKey:
    """The key of a request that its owner has signed (RFC 2986, 3). Raises RequestRefused."""
    try:
        signed, key = csr.is_signature_valid, csr.public_key()
    except (ValueError, TypeError, InvalidSignature) as error:
        raise RequestRefused("the request's key or signature cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RequestRefused("the request's key is not on P-256")
    if not signed:
        raise RequestRefused("the request is not signed by its own key")
    return key


def _entry(issued: IssuedCertificate) -> x509.RevokedCertificate:
    """RFC 5280, 5.1.2.6 and 5.3.1; `unspecified` is left out, as there."""
    revoked_at, reason = issued.revoked_at, REASONS[issued.reason or "unspecified"]
    if revoked_at is None:
        raise ValueError("a certificate that is not revoked cannot be listed")
    builder = (
        x509.RevokedCertificateBuilder().serial_number(issued.serial).revocation_date(_seconds(revoked_at))
    )
    if reason is not x509.ReasonFlags.unspecified:
        builder = builder.add_extension(x509.CRLReason(reason), critical=False)
    return builder.build()


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    """RFC 5280, 4.2.1.3."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _policies(arc: str) -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(scheme_policy(arc), None)])


def _crl_location(url: str) -> x509.CRLDistributionPoints:
    name = x509.UniformResourceIdentifier(url)
    return x509.CRLDistributionPoints([x509.DistributionPoint([name], None, None, None)])


def _issuer_location(url: str) -> x509.AuthorityInformationAccess:
    method = x509.oid.AuthorityInformationAccessOID.CA_ISSUERS
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(method, x509.UniformResourceIdentifier(url))]
    )


def _seconds(moment: datetime) -> datetime:
    """X.509 knows whole seconds. RFC 5280, 4.1.2.5."""
    return require_aware(moment).astimezone(UTC).replace(microsecond=0)
