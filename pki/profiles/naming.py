"""How an identity stands in a certificate, and how it is read back."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from cryptography import x509
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """One way to name: what stands in the certificate, said for people, too, with the clause it follows.

    The functions raise ValueError for what cannot be named so.
    """

    subject: Callable[[str, str | None], x509.Name]
    alternative_name: Callable[[str], x509.SubjectAlternativeName | None]
    identity: Callable[[x509.Certificate], str]
    # Whether a person's or thing's name may stand beside the identity
    takes_name: bool
    subject_says: str
    subject_clause: str
    alternative_name_says: str
    alternative_name_clause: str
    # Subject and the Extension subjectAltName in DER, for who names many; without a name beside the identity
    encoded: Callable[[str], tuple[bytes, bytes]] | None = None


# RFC 9562, 4, in lower case
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What stands before the UUID in a card's names, which are as long for every card (ITU-T X.690):
# a Name of one serialNumber (RFC 5280, 4.1.2.4), a PrintableString
_CARD_SUBJECT = bytes.fromhex("302f312d302b06035504051324")
# an Extension of one uniformResourceIdentifier (RFC 5280, 4.2.1.6)
_CARD_ALTERNATIVE_NAME = bytes.fromhex("30380603551d110431302f862d") + b"urn:uuid:"


def _card_names(identity: str) -> tuple[bytes, bytes]:
    octets = _canonical_uuid(identity).encode()
    return _CARD_SUBJECT + octets, _CARD_ALTERNATIVE_NAME + octets


def _card_subject(identity: str, _: str | None = None) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, _canonical_uuid(identity))])


def _holder_subject(identity: str, name: str | None) -> x509.Name:
    number = x509.NameAttribute(NameOID.SERIAL_NUMBER, _canonical_uuid(identity))
    if name is None:
        return x509.Name([number])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _printable(name)), number])


def _card_alternative_name(identity: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(UUID(identity).urn)])


def _card_identity(certificate: x509.Certificate) -> str:
    identity = _urn_identity(certificate)
    if certificate.subject != _card_subject(identity):
        raise ValueError("subject and subjectAltName name different cards")
    return identity


def _holder_identity(certificate: x509.Certificate) -> str:
    identity = _urn_identity(certificate)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = names[0].value if names else None
    if isinstance(name, bytes) or certificate.subject != _holder_subject(identity, name):
        raise ValueError("subject and subjectAltName name different cards")
    return identity


def _urn_identity(certificate: x509.Certificate) -> str:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (urn,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    return str(UUID(urn))


def _canonical_uuid(identity: str) -> str:
    if _UUID.fullmatch(identity) is None:
        raise ValueError(f"{identity!r} is not a UUID in its canonical spelling")
    return identity


def _printable(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise ValueError(f"{name!r} is not a name in printable characters")
    return name


def _common_name(identity: str, _: str | None = None) -> x509.Name:
    # RFC 5280, A.1: ub-common-name is 64, which cryptography checks
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _printable(identity))])


def _common_name_of(certificate: x509.Certificate) -> str:
    (attribute,) = certificate.subject
    if attribute.oid != NameOID.COMMON_NAME or not isinstance(attribute.value, str):
        raise ValueError("the subject is not a common name")
    return attribute.value


def _host_alternative_name(identity: str) -> x509.SubjectAlternativeName:
    if identity != identity.lower() or not all(_is_label(label) for label in identity.split(".")):
        raise ValueError(f"{identity!r} is not a host's name in lower case")
    return x509.SubjectAlternativeName([x509.DNSName(identity)])


def _is_label(label: str) -> bool:
    """RFC 5280, 4.2.1.6: the preferred name syntax of RFC 1034, 3.5, as RFC 1123, 2.1 has it."""
    inside, ends = label.replace("-", "a"), label[:1] + label[-1:]
    return 1 <= len(label) <= 63 and label.isascii() and inside.isalnum() and "-" not in ends


def _host_identity(certificate: x509.Certificate) -> str:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (host,) = names.get_values_for_type(x509.DNSName)
    if certificate.subject != _common_name(host):
        raise ValueError("subject and subjectAltName name different hosts")
    return host


_UUID_SAYS = "the card's UUID as `urn:uuid:`"
_UUID_CLAUSE = "FIPS 201-3, 4.2.2.1 and 4.2.2.2; RFC 9562, 4"

CARD = Naming(
    subject=_card_subject,
    alternative_name=_card_alternative_name,
    identity=_card_identity,
    takes_name=False,
    subject_says="`serialNumber` = the card's UUID, and nothing else",
    # The subject holds the card's identifier alone: whoever reads it learns no name
    subject_clause="FIPS 201-3, 4.2.2.2; RFC 5280, 4.1.2.6",
    alternative_name_says=_UUID_SAYS,
    alternative_name_clause=_UUID_CLAUSE,
    encoded=_card_names,
)
HOLDER = Naming(
    subject=_holder_subject,
    alternative_name=_card_alternative_name,
    identity=_holder_identity,
    takes_name=True,
    subject_says="`CN` = the holder's name, if the holder wants it there; `serialNumber` = the card's UUID",
    subject_clause="RFC 5280, 4.1.2.6",
    alternative_name_says=_UUID_SAYS,
    alternative_name_clause=_UUID_CLAUSE,
    encoded=_card_names,
)
PROGRAM = Naming(
    subject=_common_name,
    alternative_name=lambda _: None,
    identity=_common_name_of,
    takes_name=False,
    subject_says="`CN` = its id",
    subject_clause="RFC 5280, 4.1.2.6",
    alternative_name_says="none",
    alternative_name_clause="RFC 5280, 4.2.1.6",
)
HOST = Naming(
    subject=_common_name,
    alternative_name=_host_alternative_name,
    identity=_host_identity,
    takes_name=False,
    subject_says="`CN` = the host's name",
    subject_clause="RFC 5280, 4.1.2.6",
    alternative_name_says="the host's name as `dNSName`",
    alternative_name_clause="RFC 9525, 3; RFC 5280, 4.2.1.6",
)
