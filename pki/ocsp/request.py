"""What an OCSP request asks (RFC 6960, 4.1), read strictly and never further than a bound.

`cryptography` reads requests for one certificate alone; an issuing desk asks for a drawer of cards at once.
"""

from dataclasses import dataclass

from cryptography.x509.oid import OCSPExtensionOID

from pki import der
from pki.der import Element
from pki.errors import DerMalformed
from pki.ocsp.cert_id import CertId

# Ours. A request for one certificate has some 100 bytes, and a signed one a kilobyte or two.
MAX_REQUEST_BYTES = 16 * 1024
MAX_CERTIFICATES = 64
_MAX_EXTENSIONS = 8
# RFC 9654, 2.1
MAX_NONCE_BYTES = 128

_NONCE = der.object_identifier(OCSPExtensionOID.NONCE)
_VERSION, _REQUESTOR, _EXTENSIONS = der.context(0), der.context(1), der.context(2)
_SINGLE_EXTENSIONS, _SIGNATURE = der.context(0), der.context(0)
_NULL = bytes((der.NULL, 0))
_TRUE = b"\x01\x01\xff"


@dataclass(frozen=True, slots=True)
class OcspRequest:
    """One certificate at least, in the order in which they are asked for."""

    certificates: tuple[CertId, ...]
    nonce: bytes | None


def parse_request(data: bytes) -> OcspRequest:
    """The request. A signature on it is ignored: anybody may ask. Raises DerMalformed."""
    if len(data) > MAX_REQUEST_BYTES:
        raise DerMalformed(f"a request of more than {MAX_REQUEST_BYTES} bytes")
    request, *signature = _fields(der.read(data), 2)
    for element in signature:
        element.expect(_SIGNATURE)
    fields = _fields(request, 4)
    # RFC 6960, 4.1.1: v1, which DER leaves out and some write all the same
    if fields[0].tag == _VERSION and _only_child(fields.pop(0)).integer() != 0:
        raise DerMalformed("a request of a version that is not known")
    if fields and fields[0].tag == _REQUESTOR:
        fields.pop(0)
    if not 1 <= len(fields) <= 2:
        raise DerMalformed("a request is a list of certificates, and extensions")
    wanted = _fields(fields[0], MAX_CERTIFICATES)
    nonce = _nonce(fields[1].expect(_EXTENSIONS)) if len(fields) == 2 else None
    return OcspRequest(tuple(_cert_id(single) for single in wanted), nonce)


def _cert_id(single: Element) -> CertId:
    """RFC 6960, 4.1.1: Request and CertID."""
    certificate, *extensions = _fields(single, 2)
    for element in extensions:
        _extensions(element.expect(_SINGLE_EXTENSIONS))
    parts = _fields(certificate, 4)
    if len(parts) != 4:
        raise DerMalformed("a certificate is named by four fields")
    algorithm, name_hash, key_hash, serial = parts
    return CertId(
        raw=certificate.whole,
        hash_algorithm=_algorithm(algorithm),
        issuer_name_hash=name_hash.expect(der.OCTET_STRING).content,
        issuer_key_hash=key_hash.expect(der.OCTET_STRING).content,
        serial=serial.integer(),
    )


def _algorithm(element: Element) -> bytes:
    """The identifier's content; the parameters are NULL or absent. RFC 5754, 2."""
    identifier, *parameters = _fields(element, 2)
    if any(parameter.whole != _NULL for parameter in parameters):
        raise DerMalformed("a hash algorithm with parameters")
    return identifier.expect(der.OID).content


def _nonce(element: Element) -> bytes | None:
    """RFC 9654, 2.1: an OCTET STRING of 1 to 128 octets; anything else is a malformed request."""
    nonces = [value for oid, value in _extensions(element) if oid == _NONCE]
    if not nonces:
        return None
    if len(nonces) > 1:
        raise DerMalformed("two nonces")
    nonce = der.read(nonces[0]).expect(der.OCTET_STRING).content
    if not 1 <= len(nonce) <= MAX_NONCE_BYTES:
        raise DerMalformed(f"a nonce has 1 to {MAX_NONCE_BYTES} octets")
    return nonce


def _extensions(element: Element) -> list[tuple[bytes, bytes]]:
    """Identifier and value of each. Of critical ones only the nonce is known. RFC 6960, 4.4."""
    found = []
    for extension in _fields(_only_child(element), _MAX_EXTENSIONS):
        parts = _fields(extension, 3)
        if len(parts) < 2:
            raise DerMalformed("an extension has an identifier and a value")
        oid, *critical, value = parts
        # X.690, 11.5: FALSE is the default and left out
        if any(flag.whole != _TRUE for flag in critical):
            raise DerMalformed("an extension is critical or does not say so")
        if critical and oid.whole != _NONCE:
            raise DerMalformed("a critical extension that is not known here")
        found.append((oid.expect(der.OID).whole, value.expect(der.OCTET_STRING).content))
    return found


def _fields(element: Element, most: int) -> list[Element]:
    """The elements of a SEQUENCE that has one at least."""
    children = element.expect(der.SEQUENCE).children(most)
    if not children:
        raise DerMalformed("an empty sequence")
    return children


def _only_child(element: Element) -> Element:
    children = element.children(1)
    if not children:
        raise DerMalformed("an empty element")
    return children[0]
