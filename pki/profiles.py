"""What each kind of certificate contains, declared once.

Object identifiers of ours hang under the scheme's own arc: `arc.1.x` are extended key usages, `arc.2.1` is
the certificate policy that marks everything of the scheme.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# RFC 5612: the private enterprise number set aside for examples. A real scheme has its own.
EXAMPLE_ARC = "1.3.6.1.4.1.32473"

# FIPS 201-3, appendix B: id-PIV-cardAuth
PIV_CARD_AUTH = x509.ObjectIdentifier("2.16.840.1.101.3.6.8")
# Ours, under the arc
_TERMINAL_REQUESTS = "1.1"
_ANSWERS = "1.2"
_POLICY = "2.1"

_YEAR_DAYS = 365


def scheme_policy(arc: str) -> x509.ObjectIdentifier:
    """The certificate policy (RFC 5280, 4.2.1.4) of a scheme's certificates."""
    return x509.ObjectIdentifier(f"{arc}.{_POLICY}")


def arc_of(policy: x509.ObjectIdentifier) -> str | None:
    """The arc of a scheme's policy; None where it is no such policy."""
    text = policy.dotted_string
    return text.removesuffix(f".{_POLICY}") if text.endswith(f".{_POLICY}") else None


@dataclass(frozen=True, slots=True)
class Naming:
    """How an identity stands in a certificate, and back."""

    subject: Callable[[str], x509.Name]
    alternative_name: Callable[[str], x509.SubjectAlternativeName | None]
    identity: Callable[[x509.Certificate], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of end-entity certificate. Its key usage is always digitalSignature, critical."""

    name: str
    # The issuing authority, and the only one whose certificates count for this profile
    authority: str
    # RFC 5280, 4.2.1.12; those below the arc follow the scheme
    extended_key_usages: tuple[x509.ObjectIdentifier, ...]
    own_extended_key_usage: str | None
    extended_key_usage_critical: bool
    validity_days: int
    naming: Naming

    def usages(self, arc: str) -> tuple[x509.ObjectIdentifier, ...]:
        """Every extended key usage, in the order of the certificate."""
        own = self.own_extended_key_usage
        if own is None:
            return self.extended_key_usages
        return (*self.extended_key_usages, x509.ObjectIdentifier(f"{arc}.{own}"))

    def decisive_usage(self, arc: str) -> x509.ObjectIdentifier:
        """The usage that makes a certificate one of this profile: our own where there is one."""
        return self.usages(arc)[-1]


def _card_subject(identity: str) -> x509.Name:
    # Common Policy, profile of card authentication: the subject holds the card's identifier alone
    return x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, _canonical_uuid(identity))])


def _card_alternative_name(identity: str) -> x509.SubjectAlternativeName:
    # FIPS 201-3, asymmetric card authentication key: the card's UUID as a URI (urn:uuid, RFC 9562, 4)
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(UUID(identity).urn)])


def _card_identity(certificate: x509.Certificate) -> str:
    """Raises ValueError where subject and alternative name are not one card's."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (urn,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    identity = str(UUID(urn))
    if certificate.subject != _card_subject(identity):
        raise ValueError("subject and subjectAltName name different cards")
    return identity


def _canonical_uuid(identity: str) -> str:
    if str(UUID(identity)) != identity:
        raise ValueError(f"{identity!r} is not a UUID in its canonical spelling")
    return identity


def _common_name(identity: str) -> x509.Name:
    # RFC 5280, A.1: ub-common-name is 64, which cryptography checks
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identity)])


def _common_name_of(certificate: x509.Certificate) -> str:
    """Raises ValueError where the subject is not one common name."""
    (attribute,) = certificate.subject
    if attribute.oid != NameOID.COMMON_NAME or not isinstance(attribute.value, str):
        raise ValueError("the subject is not a common name")
    return attribute.value


CARD = Naming(_card_subject, _card_alternative_name, _card_identity)
PROGRAM = Naming(_common_name, lambda _: None, _common_name_of)

CARD_AUTHENTICATION = Profile(
    name="card-authentication",
    authority="cards",
    # FIPS 201-3, asymmetric card authentication key, and Common Policy: id-PIV-cardAuth alone, critical
    extended_key_usages=(PIV_CARD_AUTH,),
    own_extended_key_usage=None,
    extended_key_usage_critical=True,
    # Ours; FIPS 201-3 allows a card six years at most
    validity_days=5 * _YEAR_DAYS,
    naming=CARD,
)
TERMINAL = Profile(
    name="terminal",
    authority="terminals",
    extended_key_usages=(ExtendedKeyUsageOID.CLIENT_AUTH,),
    own_extended_key_usage=_TERMINAL_REQUESTS,
    extended_key_usage_critical=False,
    validity_days=2 * _YEAR_DAYS,
    naming=PROGRAM,
)
SERVICE = Profile(
    name="service",
    authority="service",
    extended_key_usages=(),
    own_extended_key_usage=_ANSWERS,
    # Nothing but a reader of our answers has a use for it
    extended_key_usage_critical=True,
    validity_days=2 * _YEAR_DAYS,
    naming=PROGRAM,
)

PROFILES = {profile.name: profile for profile in (CARD_AUTHENTICATION, TERMINAL, SERVICE)}
# The issuing authorities of a scheme, each below the root
ISSUING = tuple(sorted({profile.authority for profile in PROFILES.values()}))


def usages_of_authority(authority: str, arc: str) -> tuple[x509.ObjectIdentifier, ...]:
    """What an authority may issue for: stands in its own certificate, so that no other use verifies."""
    return tuple(
        usage
        for profile in PROFILES.values()
        if profile.authority == authority
        for usage in profile.usages(arc)
    )
