"""What a certificate is relied on for, and whom it names then."""

from enum import Enum

from cryptography import x509

from pki.errors import PurposeRefused
from pki.profiles import PROFILES, Profile, arc_of
from pki.verification.names import extension, subject


class Purpose(Enum):
    """What a certificate is relied on for; one profile each."""

    CARD_AUTHENTICATION = "card-authentication"
    TERMINAL = "terminal"
    SERVICE = "service"

    @property
    def profile(self) -> Profile:
        """The profile of certificates for this purpose."""
        return PROFILES[self.value]


def scheme_arc(certificate: x509.Certificate) -> str | None:
    """The arc of the scheme whose policy a certificate carries; None where there is none."""
    policies = extension(certificate, x509.CertificatePolicies)
    arcs = [arc_of(policy.policy_identifier) for policy in policies or ()]
    return next((arc for arc in arcs if arc is not None), None)


def check_purpose(
    leaf: x509.Certificate, issuing: x509.Certificate, anchor: x509.Certificate, purpose: Purpose
) -> tuple[str, str]:
    """The identity, and the scheme by its arc.

    The arc is the anchor's word, so that no setting of ours can be wrong about it. Raises PurposeRefused.
    """
    arc = scheme_arc(anchor)
    if arc is None or scheme_arc(issuing) != arc or scheme_arc(leaf) != arc:
        raise PurposeRefused(subject(leaf), f"{purpose.value} in this scheme")
    needed = purpose.profile.decisive_usage(arc)
    for certificate in (leaf, issuing):
        usages = extension(certificate, x509.ExtendedKeyUsage)
        if usages is None or needed not in usages:
            raise PurposeRefused(subject(certificate), purpose.value)
    usage = extension(leaf, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise PurposeRefused(subject(leaf), f"{purpose.value}: it may not sign")
    try:
        return purpose.profile.naming.identity(leaf), arc
    except (ValueError, x509.ExtensionNotFound) as error:
        raise PurposeRefused(subject(leaf), f"{purpose.value}: its names are not in order") from error
