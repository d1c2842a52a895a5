"""What a certificate is relied on for, and whom it names then."""

from dataclasses import dataclass
from enum import Enum

from cryptography import x509

from pki.errors import PurposeRefused
from pki.profiles import PROFILES, ROOT, Profile, arc_of
from pki.profiles.model import key_usage
from pki.verification.names import extension, subject


class Purpose(Enum):
    """What a certificate is relied on for; one profile each."""

    CARD_AUTHENTICATION = "card-authentication"
    HOLDER_AUTHENTICATION = "holder-authentication"
    SIGNATURE = "signature"
    TERMINAL = "terminal"
    SERVICE = "service"
    STAFF = "staff"
    CONTENT_SIGNER = "content-signer"
    STATEMENT_SIGNER = "statement-signer"
    TLS_SERVER = "tls-server"
    OCSP_RESPONDER = "ocsp-responder"
    TRUST_LIST_SIGNER = "trust-list-signer"

    @property
    def profile(self) -> Profile:
        """The profile of certificates for this purpose."""
        return PROFILES[self.value]


def scheme_arc(certificate: x509.Certificate) -> str | None:
    """The arc of the scheme whose policy a certificate carries; None where there is none."""
    policies = extension(certificate, x509.CertificatePolicies)
    arcs = [arc_of(policy.policy_identifier) for policy in policies or ()]
    return next((arc for arc in arcs if arc is not None), None)


@dataclass(frozen=True, slots=True)
class IssuingScope:
    """What an authority may issue for, by its own certificate and its anchor's."""

    name: str
    # None where the two are not of one scheme
    arc: str | None
    # None where it says nothing about it: a root, which issues what no other may
    usages: frozenset[x509.ObjectIdentifier] | None
    is_anchor: bool

    def allows(self, profile: Profile, usage: x509.ObjectIdentifier) -> bool:
        """Whether certificates of this profile count below it."""
        if self.usages is None:
            return self.is_anchor and ROOT in profile.authorities
        return usage in self.usages


def issuing_scope(issuing: x509.Certificate, anchor: x509.Certificate) -> IssuingScope:
    """The scope of an authority below, or being, this anchor.

    The arc is the anchor's word, so that no setting of ours can be wrong about it.
    """
    arc = scheme_arc(anchor)
    usages = extension(issuing, x509.ExtendedKeyUsage)
    return IssuingScope(
        subject(issuing),
        arc if scheme_arc(issuing) == arc else None,
        None if usages is None else frozenset(usages),
        issuing == anchor,
    )


def check_purpose(leaf: x509.Certificate, scope: IssuingScope, purpose: Purpose) -> tuple[str, str]:
    """The identity, and the scheme by its arc. Raises PurposeRefused."""
    arc = scope.arc
    if arc is None or scheme_arc(leaf) != arc:
        raise PurposeRefused(subject(leaf), f"{purpose.value} in this scheme")
    profile = purpose.profile
    needed = profile.decisive_usage(arc)
    usages = extension(leaf, x509.ExtendedKeyUsage)
    if usages is None or needed not in usages:
        raise PurposeRefused(subject(leaf), purpose.value)
    if not scope.allows(profile, needed):
        raise PurposeRefused(scope.name, purpose.value)
    if extension(leaf, x509.KeyUsage) != key_usage(profile.key_usage.value):
        raise PurposeRefused(subject(leaf), f"{purpose.value}: its key is for other uses")
    try:
        return profile.naming.identity(leaf), arc
    except (ValueError, x509.ExtensionNotFound) as error:
        raise PurposeRefused(subject(leaf), f"{purpose.value}: its names are not in order") from error
