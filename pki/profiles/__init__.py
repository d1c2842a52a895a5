"""What each kind of certificate contains, declared once."""

from pki.profiles.authorities import ISSUING, ISSUING_AUTHORITY, ROOT_AUTHORITY, usages_of_authority
from pki.profiles.leaves import (
    CARD_AUTHENTICATION,
    CONTENT_SIGNER,
    HOLDER_AUTHENTICATION,
    LEAVES,
    OCSP_RESPONDER,
    SERVICE,
    SIGNATURE,
    STAFF,
    STATEMENT_SIGNER,
    TERMINAL,
    TLS_SERVER,
    TRUST_LIST_SIGNER,
)
from pki.profiles.model import ROOT, AuthorityProfile, Profile, Stated
from pki.profiles.naming import CARD, HOLDER, HOST, PROGRAM, Naming
from pki.profiles.oids import EXAMPLE_ARC, PIV_CARD_AUTH, arc_of, check_arc, scheme_policy

__all__ = [
    "CARD",
    "CARD_AUTHENTICATION",
    "CONTENT_SIGNER",
    "EXAMPLE_ARC",
    "HOLDER",
    "HOLDER_AUTHENTICATION",
    "HOST",
    "ISSUING",
    "ISSUING_AUTHORITY",
    "OCSP_RESPONDER",
    "PIV_CARD_AUTH",
    "PROFILES",
    "PROGRAM",
    "ROOT",
    "ROOT_AUTHORITY",
    "SERVICE",
    "SIGNATURE",
    "STAFF",
    "STATEMENT_SIGNER",
    "TERMINAL",
    "TLS_SERVER",
    "TRUST_LIST_SIGNER",
    "AuthorityProfile",
    "Naming",
    "Profile",
    "Stated",
    "arc_of",
    "check_arc",
    "scheme_policy",
    "usages_of_authority",
]

PROFILES = {profile.name: profile for profile in LEAVES}
