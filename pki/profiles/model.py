"""What a profile declares: each field with the clause that it follows; the documents are made of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from cryptography import x509

from pki.profiles.naming import Naming
from pki.profiles.oids import under

T_co = TypeVar("T_co", covariant=True)

ROOT = "root"


@dataclass(frozen=True, slots=True)
class Stated(Generic[T_co]):
    """A value, with the clause of the standard that asks for it or allows it; ours is said to be ours."""

    value: T_co
    clause: str


# The bits of RFC 5280, 4.2.1.3 that our profiles use
DIGITAL_SIGNATURE = "digital_signature"
CONTENT_COMMITMENT = "content_commitment"
KEY_CERT_SIGN = "key_cert_sign"
CRL_SIGN = "crl_sign"

_KEY_USAGES = (
    *(DIGITAL_SIGNATURE, CONTENT_COMMITMENT, "key_encipherment", "data_encipherment", "key_agreement"),
    *(KEY_CERT_SIGN, CRL_SIGN, "encipher_only", "decipher_only"),
)


def key_usage(bits: tuple[str, ...]) -> x509.KeyUsage:
    """The extension with these bits. RFC 5280, 4.2.1.3."""
    return x509.KeyUsage(**{name: name in bits for name in _KEY_USAGES})


# eq=False: each is declared once, and is looked up by what it is for every certificate.
@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """One kind of end-entity certificate. What all have in common is in `pki.extensions`."""

    name: str
    # For people: what the certificate is for
    purpose: str
    # Who issues it, and the only ones whose certificates count for it; most have one
    authorities: tuple[str, ...]
    key: Stated[str]
    # Critical, always
    key_usage: Stated[tuple[str, ...]]
    # RFC 5280, 4.2.1.12: those of the standards, and at the end our own below the arc, if there is one
    extended_key_usages: Stated[tuple[x509.ObjectIdentifier, ...]]
    own_extended_key_usage: str | None
    extended_key_usage_critical: bool
    validity: Stated[int]
    naming: Naming
    # The card's place in the status list, and in the shard of the revocation list that it names
    has_status_index: bool = False
    # RFC 6960, 4.2.2.2.1: nobody asks for the status of the certificate that status is told with
    no_status: bool = False

    @cached_property
    def authority(self) -> str:
        """The authority that issues it, of a profile that has only one. Raises ValueError."""
        (authority,) = self.authorities
        return authority

    @property
    def validity_days(self) -> int:
        """How long it holds where nothing else is asked for."""
        return self.validity.value

    def usages(self, arc: str) -> tuple[x509.ObjectIdentifier, ...]:
        """Every extended key usage, in the order of the certificate."""
        own = self.own_extended_key_usage
        return (*self.extended_key_usages.value, *(() if own is None else (under(arc, own),)))

    def decisive_usage(self, arc: str) -> x509.ObjectIdentifier:
        """The usage that makes a certificate one of this profile: our own where there is one."""
        return self.usages(arc)[-1]


@dataclass(frozen=True, kw_only=True)
class AuthorityProfile:
    """One kind of authority's certificate."""

    name: str
    purpose: str
    # How many authorities may follow below it
    path_length: Stated[int]
    key_usage: Stated[tuple[str, ...]]
    validity: Stated[int]
