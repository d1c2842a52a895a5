"""Reading certificates: names for people, and extensions that may be absent."""

from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import NameOID

ExtensionT = TypeVar("ExtensionT", bound=x509.ExtensionType)


def text(name: x509.Name) -> str:
    """A distinguished name as it stands in errors. RFC 4514."""
    # RFC 4514, 3 has no short name for what a card is known by
    return name.rfc4514_string({NameOID.SERIAL_NUMBER: "serialNumber"})


def subject(certificate: x509.Certificate) -> str:
    """Whom a certificate is about."""
    return text(certificate.subject)


def extension(
    holder: x509.Certificate | x509.CertificateRevocationList | x509.RevokedCertificate,
    kind: type[ExtensionT],
) -> ExtensionT | None:
    """The value of an extension; None where there is none."""
    # Not get_extension_for_class: it asks each extension for its class, which takes longer
    for found in holder.extensions:
        if found.oid == kind.oid and isinstance(found.value, kind):
            return found.value
    return None
