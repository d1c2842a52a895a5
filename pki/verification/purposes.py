"""What a certificate is relied on for, and whom it names then."""

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


def check_purpose(
    leaf: x509.Certificate, issuing: x509.Certificate, anchor: x509.Certificate, purpose: Purpose
) -> tuple[str, str]:
    """The identity, and the scheme by its arc.

    The arc is the anchor's word, so that no setting of ours can be wrong about it. Raises PurposeRefused.
    """
    arc = scheme_arc(anchor)
    if arc is None or scheme_arc(issuing) != arc or scheme_arc(leaf) != arc:
        raise PurposeRefused(subject(leaf), f"{purpose.value} in this scheme")
    profile = purpose.profile
    needed = profile.decisive_usage(arc)
    # A root names no uses of its own: only what it alone may issue counts under it
    by_root = issuing == anchor and extension(issuing, x509.ExtendedKeyUsage) is None
    for certificate in (leaf,) if by_root and ROOT in profile.authorities else (leaf, issuing):
        usages = extension(certificate, x509.ExtendedKeyUsage)
        if usages is None or needed not in usages:
            raise PurposeRefused(subject(certificate), purpose.value)
    if extension(leaf, x509.KeyUsage) != key_usage(profile.key_usage.value):
        raise PurposeRefused(subject(leaf), f"{purpose.value}: its key is for other uses")
    try:
        return profile.naming.identity(leaf), arc
    except (ValueError, x509.ExtensionNotFound) as error:
        raise PurposeRefused(subject(leaf), f"{purpose.value}: its names are not in order") from error
