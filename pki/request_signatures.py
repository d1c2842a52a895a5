"""The one profile of HTTP message signatures (RFC 9421) that a terminal signs its requests with.

This profile leaves nothing to choose: one label, one list of components, one order of parameters. Everything
else is refused, also what RFC 9421 would allow. `http-message-signatures` is the tests' witness both ways.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from pki.clock import require_aware
from pki.errors import (
    RequestDigestMismatch,
    RequestSignatureComponents,
    RequestSignatureInvalid,
    RequestSignatureKeyIdMalformed,
    RequestSignatureKeyUnknown,
    RequestSignatureMalformed,
    RequestSignatureMissing,
    RequestSignatureStale,
)

# RFC 9421, 3: ours
LABEL = "sig1"
TAG = "citizen-card-terminal"
# RFC 9421, 3.3.4
ALGORITHM = "ecdsa-p256-sha256"
# RFC 9421, 2.2.1, 2.2.2 and 2.1; the last two if and only if the request has a body. RFC 9530, 2
COMPONENTS = ("@method", "@target-uri")
COMPONENTS_WITH_BODY = (*COMPONENTS, "content-type", "content-digest")
# Ours, both ways: the clock of a terminal may be behind or ahead.
MAX_AGE = timedelta(seconds=300)

# RFC 9421, 3.1 and 4.1, in the one spelling that structured fields (RFC 9651, 4.1) have for it.
_INPUT = re.compile(
    rf'{LABEL}=(?P<parameters>\((?P<components>[a-z@" -]+)\);created=(?P<created>[0-9]{{1,11}})'
    rf';keyid="(?P<keyid>[ !#-\[\]-~]*)";alg="{ALGORITHM}";tag="{TAG}")'
)
# A terminal's id, without what a structured string would have to escape.
_KEYID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
# 64 bytes in base64. RFC 9651, 3.3.5
_SIGNATURE = re.compile(rf"{LABEL}=:([A-Za-z0-9+/]{{86}}==):")
# Made by signing, never taken over
_WRITTEN_HERE = frozenset({"content-digest", "signature", "signature-input"})
_ECDSA = ec.ECDSA(hashes.SHA256())

ResolveKey = Callable[[str], ec.EllipticCurvePublicKey | None]


def sign_request(
    method: str,
    target_uri: str,
    headers: Mapping[str, str],
    body: bytes | None,
    key: ec.EllipticCurvePrivateKey,
    keyid: str,
    moment: datetime,
) -> dict[str, str]:
    """The request's headers with its digest and signature. `target_uri` is absolute, as the service knows it.

    Raises RequestSignatureInvalid where a request with a body has no Content-Type, and for what this profile
    cannot express.
    """
    signed = {name: value for name, value in headers.items() if name.lower() not in _WRITTEN_HERE}
    if body:
        if "content-type" not in _lower(signed):
            raise RequestSignatureInvalid("a request with a body needs a Content-Type")
        signed["Content-Digest"] = content_digest(body)
    components = " ".join(f'"{name}"' for name in (COMPONENTS_WITH_BODY if body else COMPONENTS))
    created = int(require_aware(moment).timestamp())
    parameters = f'({components});created={created};keyid="{keyid}";alg="{ALGORITHM}";tag="{TAG}"'
    if _INPUT.fullmatch(f"{LABEL}={parameters}") is None or _KEYID.fullmatch(keyid) is None:
        raise RequestSignatureInvalid("the key identifier or the time is none that this profile has")
    base = _signature_base(method, target_uri, _lower(signed), body or b"", components, parameters)
    signed["Signature-Input"] = f"{LABEL}={parameters}"
    signed["Signature"] = f"{LABEL}=:{_sign(key, base)}:"
    return signed


def verify_request(
    method: str,
    target_uri: str,
    headers: Mapping[str, str],
    body: bytes,
    resolve_key: ResolveKey,
    moment: datetime,
) -> str:
    """The key identifier of who has signed this request.

    `target_uri` is built from the service's public origin, never from the request's Host. Raises
    RequestSignatureMissing, RequestSignatureInvalid (by its subclasses what is not of the profile),
    RequestSignatureKeyUnknown, RequestSignatureStale.
    """
    fields = _lower(headers)
    if "signature" not in fields or "signature-input" not in fields:
        raise RequestSignatureMissing("the request is not signed (RFC 9421)")
    stated = _INPUT.fullmatch(fields["signature-input"])
    signature = _SIGNATURE.fullmatch(fields["signature"])
    if stated is None or signature is None:
        raise RequestSignatureMalformed("the signature does not follow the profile")
    keyid = stated["keyid"]
    if _KEYID.fullmatch(keyid) is None:
        raise RequestSignatureKeyIdMalformed("the key identifier is not one that a terminal can have")
    base = _signature_base(method, target_uri, fields, body, stated["components"], stated["parameters"])
    key = resolve_key(keyid)
    if key is None:
        raise RequestSignatureKeyUnknown(keyid)
    created = datetime.fromtimestamp(int(stated["created"]), UTC)
    if abs(moment - created) > MAX_AGE:
        raise RequestSignatureStale(created, moment)
    _verify(key, signature[1], base)
    return keyid


def content_digest(body: bytes) -> str:
    """The Content-Digest field's value. RFC 9530, 2."""
    return f"sha-256=:{b64encode(sha256(body).digest()).decode()}:"


def _signature_base(
    method: str, target_uri: str, fields: Mapping[str, str], body: bytes, components: str, parameters: str
) -> bytes:
    """RFC 9421, 2.5. Raises RequestSignatureComponents, RequestDigestMismatch and RequestSignatureInvalid."""
    covered = COMPONENTS_WITH_BODY if body else COMPONENTS
    if components != " ".join(f'"{name}"' for name in covered):
        raise RequestSignatureComponents(f"the signature must cover exactly {', '.join(covered)}")
    lines = [f'"@method": {method}', f'"@target-uri": {target_uri}']
    if body:
        if fields.get("content-digest") != content_digest(body):
            raise RequestDigestMismatch("the body is not the one of the Content-Digest")
        content_type = fields.get("content-type", "").strip(" \t")
        lines += [
            f'"content-type": {content_type}',
            f'"content-digest": {fields["content-digest"]}',
        ]
    lines.append(f'"@signature-params": {parameters}')
    text = "".join(lines)
    if not (text.isascii() and text.isprintable()):
        raise RequestSignatureInvalid("what is signed must be printable ASCII")
    return "\n".join(lines).encode()


def _sign(key: ec.EllipticCurvePrivateKey, base: bytes) -> str:
    """RFC 9421, 3.3.4: r‖s over the base, in base64."""
    r, s = decode_dss_signature(key.sign(base, _ECDSA))
    return b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()


def _verify(key: ec.EllipticCurvePublicKey, signature: str, base: bytes) -> None:
    """RFC 9421, 3.3.4: r‖s over the base. Raises RequestSignatureInvalid."""
    raw = b64decode(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    try:
        key.verify(der, base, _ECDSA)
    except InvalidSignature as error:
        raise RequestSignatureInvalid("the signature does not verify") from error


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
