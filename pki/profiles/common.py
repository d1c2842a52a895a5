"""What every certificate holds, whatever its profile: said here, made by `pki.issuing`."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from pki.profiles.model import Stated


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonField:
    """One field, in words, with the clause that it follows; of an extension its identifier, too."""

    name: str
    says: Stated[str]
    extension: x509.ObjectIdentifier | None = None


# RFC 5280, 4.2.2.1 and 4.2.1.13 want addresses that answer.
_PUBLISHED = "; only with a public URL, and not the root's"

COMMON = (
    CommonField(name="version", says=Stated("3", "RFC 5280, 4.1.2.1")),
    CommonField(name="serial number", says=Stated("128 random bits", "RFC 5280, 4.1.2.2: 20 octets at most")),
    CommonField(
        name="signature", says=Stated("ECDSA with SHA-256", "RFC 5758, 3.2; SP 800-78-5, 3.2, table 2")
    ),
    CommonField(
        name="validity",
        says=Stated(
            "from five minutes before it was issued, never beyond its issuer", "RFC 5280, 4.1.2.5; ours"
        ),
    ),
    CommonField(
        name="basic constraints, critical",
        says=Stated("no authority, where its table says nothing else", "RFC 5280, 4.2.1.9"),
        extension=ExtensionOID.BASIC_CONSTRAINTS,
    ),
    CommonField(
        name="subject key identifier",
        says=Stated("SHA-1 of the key", "RFC 5280, 4.2.1.2 (1)"),
        extension=ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ),
    CommonField(
        name="authority key identifier",
        says=Stated("the issuer's subject key identifier; the root has none", "RFC 5280, 4.2.1.1"),
        extension=ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ),
    CommonField(
        name="certificate policies",
        says=Stated("*arc*.2.1, which marks the scheme's certificates", "RFC 5280, 4.2.1.4; ours"),
        extension=ExtensionOID.CERTIFICATE_POLICIES,
    ),
    CommonField(
        name="authority information access",
        says=Stated(f"OCSP, and the issuer's certificate{_PUBLISHED}", "RFC 5280, 4.2.2.1; RFC 6960, 3.1"),
        extension=ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    ),
    CommonField(
        name="revocation list",
        says=Stated(
            f"of the issuer; a card's is that of a shard of 65,536 places, `URL/cards/7.crl`{_PUBLISHED}",
            "RFC 5280, 4.2.1.13",
        ),
        extension=ExtensionOID.CRL_DISTRIBUTION_POINTS,
    ),
)
