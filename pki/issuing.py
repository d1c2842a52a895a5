"""Certificates as they are built and signed; who records them is `pki.authority`."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki import certificate_der, der
from pki.certificate_der import extension, signed_certificate, subject_key_identifier
from pki.errors import RequestRefused
from pki.extensions import (
    Extensions,
    Publication,
    authority_extensions,
    authority_key_identifier,
    crl_extensions,
    issuer_extensions,
    profile_extensions,
    shard_of,
    status_index_value,
)
from pki.profiles import ISSUING_AUTHORITY, ROOT_AUTHORITY, Profile
from pki.profiles.oids import STATUS_LIST_INDEX, under
from pki.revocation import BACKDATING, whole_seconds

# The subject, and the Extension subjectAltName or nothing, in DER
Names = tuple[bytes, bytes]


class Issuer:
    """A key with its certificate: signs certificates by profile."""

    def __init__(
        self,
        certificate: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
        arc: str,
        publication: Publication,
        serials: Callable[[], int],
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._arc = arc
        self._publication = publication
        self._serials = serials
        self._name = certificate.subject.public_bytes()
        self._own_validity = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        self._place = under(arc, STATUS_LIST_INDEX)
        # Of one issuer these never change: as many as profiles and shards. A batch has one moment.
        self._of_validity = lru_cache(maxsize=16)(
            lambda moment, validity: certificate_der.validity(*self._validity(moment, validity))
        )
        self._of_profile = lru_cache(maxsize=64)(self._make_of_profile)
        self._of_shard = lru_cache(maxsize=1024)(lambda shard: _encoded(crl_extensions(publication, shard)))

    def names(self, profile: Profile, identity: str, name: str | None) -> Names:
        """Subject and alternative name, encoded. Raises RequestRefused for what the profile cannot name."""
        if name is not None and not profile.naming.takes_name:
            raise RequestRefused(f"a {profile.name} certificate holds no name beside its identity")
        try:
            if name is None and profile.naming.encoded is not None:
                return profile.naming.encoded(identity)
            subject, alternative_name = (
                profile.naming.subject(identity, name),
                profile.naming.alternative_name(identity),
            )
        except ValueError as error:
            raise RequestRefused(
                f"{identity!r} cannot stand in a {profile.name} certificate: {error}"
            ) from error
        encoded = b"" if alternative_name is None else extension(alternative_name, critical=False)
        return subject.public_bytes(), encoded

    def leaf(
        self,
        profile: Profile,
        names: Names,
        key: ec.EllipticCurvePublicKey,
        moment: datetime,
        validity: timedelta,
        status_index: int | None,
    ) -> bytes:
        """The DER of a certificate of this profile, signed. Raises RequestRefused."""
        subject, alternative_name = names
        public_key = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        extensions = [self._of_profile(profile), subject_key_identifier(public_key)]
        if not profile.no_status:
            extensions.append(self._of_shard(None if status_index is None else shard_of(status_index)))
        extensions.append(alternative_name)
        if status_index is not None:
            extensions.append(der.extension(self._place, status_index_value(status_index)))
        return signed_certificate(
            self._key,
            serial=self._serials(),
            issuer=self._name,
            validity=self._of_validity(moment, validity),
            subject=subject,
            public_key=public_key,
            extensions=b"".join(extensions),
        )

    def authority(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        usages: tuple[x509.ObjectIdentifier, ...],
        moment: datetime,
        validity: timedelta,
    ) -> x509.Certificate:
        """The certificate of an authority below this one, signed. Raises RequestRefused."""
        extensions = [
            *authority_extensions(key, self._arc, ISSUING_AUTHORITY),
            *issuer_extensions(self._publication, no_status=False),
            *crl_extensions(self._publication, None),
            (authority_key_identifier(self._certificate), False),
        ]
        if usages:
            # RFC 5280, 4.2.1.12 leaves this open for an authority; openssl and others read it as a limit.
            extensions.append((x509.ExtendedKeyUsage(usages), False))
        return self._signed(subject, key, moment, validity, extensions)

    def _make_of_profile(self, profile: Profile) -> bytes:
        return _encoded(
            [
                *profile_extensions(profile, self._arc),
                *issuer_extensions(self._publication, no_status=profile.no_status),
                (authority_key_identifier(self._certificate), False),
            ]
        )

    def _validity(self, moment: datetime, validity: timedelta) -> tuple[datetime, datetime]:
        """From a little before `moment`, never beyond the issuer's own. Raises RequestRefused."""
        start, (first, last) = whole_seconds(moment), self._own_validity
        if not first <= start < last:
            raise RequestRefused(
                f"the authority {self._publication.issuer!r} has no valid certificate at {start.isoformat()}"
            )
        return (
            max(start - BACKDATING, first),
            min(start + validity, last),
        )

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        moment: datetime,
        validity: timedelta,
        extensions: Extensions,
    ) -> x509.Certificate:
        start, end = self._validity(moment, validity)
        builder = (
            x509.CertificateBuilder()
            .issuer_name(self._certificate.subject)
            .subject_name(subject)
            .public_key(key)
            .serial_number(self._serials())
            .not_valid_before(start)
            .not_valid_after(end)
        )
        for value, critical in extensions:
            builder = builder.add_extension(value, critical)
        return builder.sign(self._key, hashes.SHA256())


def _encoded(extensions: Extensions) -> bytes:
    return b"".join(extension(value, critical=critical) for value, critical in extensions)


def self_signed_root(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, arc: str, moment: datetime, serial: int
) -> x509.Certificate:
    """The certificate of a root that has authorities below it, and these none."""
    start = whole_seconds(moment)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(start - BACKDATING)
        .not_valid_after(start + timedelta(days=ROOT_AUTHORITY.validity.value))
    )
    for value, critical in authority_extensions(key.public_key(), arc, ROOT_AUTHORITY):
        builder = builder.add_extension(value, critical)
    return builder.sign(key, hashes.SHA256())


def check_self_signature(certificate: x509.Certificate) -> None:
    """Return if the certificate is its own issuer's. Raises InvalidSignature or ValueError."""
    certificate.verify_directly_issued_by(certificate)
