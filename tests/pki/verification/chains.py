"""Chains made by hand, right but for what a test asks for. They are certificates of terminals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pki.profiles import EXAMPLE_ARC, TERMINAL, scheme_policy
from pki.profiles.model import key_usage
from pki.trust import TrustStore
from tests.pki.conftest import START, new_key

DAY = timedelta(days=1)
POLICY = scheme_policy(EXAMPLE_ARC)
URL = "https://cards.example/pki/terminals.crl"
_serials = count(1)


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@dataclass(frozen=True)
class Making:
    """How a certificate is made; the defaults are right."""

    common_name: str
    not_before: datetime = START - DAY
    not_after: datetime = START + 365 * DAY
    path_length: int | None = None
    is_authority: bool = True
    signs_certificates: bool = True
    policies: tuple[x509.ObjectIdentifier, ...] = (POLICY,)
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    distribution_point: str | None = None


@dataclass(frozen=True)
class Holder:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)


def make(
    making: Making, issuer: Holder | None = None, signer: ec.EllipticCurvePrivateKey | None = None
) -> Holder:
    """A certificate under the issuer, or self-signed; `signer` is another key than the issuer's."""
    key = new_key()
    holder_key = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(making.common_name))
        .issuer_name(issuer.certificate.subject if issuer else name(making.common_name))
        .public_key(key.public_key())
        .serial_number(next(_serials))
        .not_valid_before(making.not_before)
        .not_valid_after(making.not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(holder_key.public_key()), critical=False
        )
        .add_extension(
            x509.BasicConstraints(making.is_authority, making.path_length if making.is_authority else None),
            critical=True,
        )
    )
    for extension, critical in (*_usual(making), *making.extra):
        builder = builder.add_extension(extension, critical)
    return Holder(builder.sign(signer or holder_key, hashes.SHA256()), key)


def _usual(making: Making) -> Iterable[tuple[x509.ExtensionType, bool]]:
    signs = ("key_cert_sign", "crl_sign") if making.signs_certificates else ("crl_sign",)
    yield key_usage(signs if making.is_authority else ("digital_signature",)), True
    yield x509.ExtendedKeyUsage(TERMINAL.usages(EXAMPLE_ARC)), False
    if making.policies:
        yield (
            x509.CertificatePolicies([x509.PolicyInformation(each, None) for each in making.policies]),
            False,
        )
    if making.distribution_point is not None:
        names = [x509.UniformResourceIdentifier(making.distribution_point)]
        yield x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, None)]), False


@dataclass(frozen=True)
class Chain:
    """Anchor first, leaf last."""

    holders: tuple[Holder, ...]

    @property
    def leaf(self) -> x509.Certificate:
        return self.holders[-1].certificate

    @property
    def issuing(self) -> Holder:
        return self.holders[-2]

    def trust(self, crls: Sequence[x509.CertificateRevocationList] = ()) -> TrustStore:
        """Everything above the leaf."""
        anchor, *intermediates = (holder.certificate for holder in self.holders[:-1])
        return TrustStore((anchor,), tuple(intermediates), tuple(crls))


def chain(*makings: Making) -> Chain:
    """Each below the one before."""
    holders: list[Holder] = []
    for making in makings:
        holders.append(make(making, holders[-1] if holders else None))
    return Chain(tuple(holders))


def usual(depth: int = 1) -> tuple[Making, ...]:
    """Root, `depth` authorities, and a terminal."""
    authorities = [Making(f"authority {number}") for number in range(1, depth + 1)]
    return (Making("root"), *authorities, Making("bus-12", is_authority=False))


def usual_but(index: int, depth: int = 1, **changes: Any) -> Chain:
    """The usual chain with one certificate made otherwise."""
    makings = list(usual(depth))
    makings[index] = replace(makings[index], **changes)
    return chain(*makings)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """How a revocation list is made; the defaults are right, and name nobody."""

    number: int = 1
    this_update: datetime = START - DAY
    next_update: datetime = START + DAY
    revoked: tuple[tuple[int, datetime, x509.ReasonFlags], ...] = ()
    base: int | None = None
    scope: x509.IssuingDistributionPoint | None = None


def crl(
    issuer: Holder, listing: Listing, signer: ec.EllipticCurvePrivateKey | None = None
) -> x509.CertificateRevocationList:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(listing.this_update)
        .next_update(listing.next_update)
        .add_extension(x509.CRLNumber(listing.number), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
        )
    )
    if listing.base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(listing.base), critical=True)
    if listing.scope is not None:
        builder = builder.add_extension(listing.scope, critical=True)
    for serial, revoked_at, reason in listing.revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(revoked_at)
        if reason is not x509.ReasonFlags.unspecified:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(signer or issuer.key, hashes.SHA256())


def scope(
    url: str | None = None,
    *,
    users: bool = False,
    authorities: bool = False,
    indirect: bool = False,
    reasons: frozenset[x509.ReasonFlags] | None = None,
) -> x509.IssuingDistributionPoint:
    """RFC 5280, 5.2.5."""
    return x509.IssuingDistributionPoint(
        full_name=None if url is None else [x509.UniformResourceIdentifier(url)],
        relative_name=None,
        only_contains_user_certs=users,
        only_contains_ca_certs=authorities,
        only_some_reasons=reasons,
        indirect_crl=indirect,
        only_contains_attribute_certs=False,
    )
