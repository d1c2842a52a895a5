"""Keys on a PKCS#11 token, behind the same seam as those in files.

`TokenPrivateKey` is an `ec.EllipticCurvePrivateKey`: every builder of `cryptography` signs with it. It
hashes here and has the token sign the digest (CKM_ECDSA), which every token can.
"""

from typing import Any, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from pkcs11 import Attribute, Mechanism, ObjectClass

from pki.cmac import CmacKey, derived
from pki.errors import KeyExists, KeyNotExtractable, KeyNotFound, TokenUnavailable
from pki.key_names import checked_name
from pki.token import Token

_CURVE = ec.SECP256R1()
_CURVE_BYTES = 32
# X.690, 8.7: CKA_EC_POINT is an OCTET STRING around the uncompressed point (PKCS#11 3.0, 2.3.3)
_OCTET_STRING_OF_65 = b"\x04\x41"


class TokenPrivateKey(ec.EllipticCurvePrivateKey):
    """A P-256 key that signs on its token and cannot be read."""

    def __init__(self, token: Token, name: str, public_key: ec.EllipticCurvePublicKey) -> None:
        self._token = token
        self._name = name
        self._public_key = public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256."""
        return _CURVE

    @property
    def key_size(self) -> int:
        """In bits."""
        return _CURVE.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._public_key

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """The signature in DER. Raises TokenUnavailable and KeyNotFound."""
        digest = _digest(bytes(data), signature_algorithm)
        signed = self._token.use_key(
            ObjectClass.PRIVATE_KEY,
            self._name,
            lambda key: bytes(key.sign(digest, mechanism=Mechanism.ECDSA)),
        )
        if signed is None:
            raise KeyNotFound(self._name, self._token)
        r, s = signed[:_CURVE_BYTES], signed[_CURVE_BYTES:]
        return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        """Not to be had: the key signs, on its token."""
        raise KeyNotExtractable(self._name)

    exchange = private_numbers = private_bytes = _refuse

    def __copy__(self) -> "TokenPrivateKey":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "TokenPrivateKey":
        return self


class TokenCmacKey:
    """An AES key on a token."""

    def __init__(self, token: Token, name: str) -> None:
        self._token = token
        self._name = name

    def cmac(self, message: bytes) -> bytes:
        """The 16 bytes of AES-CMAC over the message. Raises TokenUnavailable and KeyNotFound."""
        made = self._token.use_key(
            ObjectClass.SECRET_KEY,
            self._name,
            lambda key: bytes(key.sign(message, mechanism=Mechanism.AES_CMAC)),
        )
        if made is None:
            raise KeyNotFound(self._name, self._token)
        return made


class TokenKeyStore:
    """Keys on a token, by their labels."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def generate(self, name: str) -> ec.EllipticCurvePrivateKey:
        """Make a P-256 key on the token. Raises KeyExists, TokenUnavailable, PinRefused."""
        self._require_free(ObjectClass.PRIVATE_KEY, name)
        self._token.make_key_pair(name)
        return self.private_key(name)

    def private_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        """The key of that name. Raises KeyNotFound, TokenUnavailable, PinRefused."""
        checked_name(name)
        point = self._token.use_key(ObjectClass.PUBLIC_KEY, name, lambda key: bytes(key[Attribute.EC_POINT]))
        if point is None or not self._has(ObjectClass.PRIVATE_KEY, name):
            raise KeyNotFound(name, self._token)
        try:
            encoded = point.removeprefix(_OCTET_STRING_OF_65) if len(point) > 65 else point
            public_key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, encoded)
        except ValueError as error:
            raise TokenUnavailable(self._token.label, f"its key {name!r} is not on P-256") from error
        return TokenPrivateKey(self._token, name, public_key)

    def generate_secret(self, name: str, length: int = 32) -> NoReturn:  # noqa: ARG002 -- the seam's
        """Not on a token: it would have to be read. Raises KeyNotExtractable."""
        raise KeyNotExtractable(name)

    def secret(self, name: str) -> NoReturn:
        """Never to be had. Raises KeyNotExtractable."""
        raise KeyNotExtractable(name)

    def generate_working_secret(self, name: str, length: int = 32) -> bytes:
        """Make an AES-256 key on the token, and derive from it. Raises as `generate_cmac_key` does."""
        self._require_free(ObjectClass.SECRET_KEY, name)
        self._token.make_aes_key(name, 256)
        return self.working_secret(name, length)

    def working_secret(self, name: str, length: int = 32) -> bytes:
        """What is derived from the key of that name, which stays. Raises as `cmac_key` does."""
        return derived(self.cmac_key(name), name, length)

    def generate_cmac_key(self, name: str) -> CmacKey:
        """Make an AES-128 key on the token. Raises KeyExists, TokenUnavailable, PinRefused."""
        self._require_free(ObjectClass.SECRET_KEY, name)
        self._token.make_aes_key(name, 128)
        return TokenCmacKey(self._token, name)

    def cmac_key(self, name: str) -> CmacKey:
        """The key of that name. Raises KeyNotFound, TokenUnavailable, PinRefused."""
        checked_name(name)
        if not self._has(ObjectClass.SECRET_KEY, name):
            raise KeyNotFound(name, self._token)
        return TokenCmacKey(self._token, name)

    def _require_free(self, kind: ObjectClass, name: str) -> None:
        if self._has(kind, checked_name(name)):
            raise KeyExists(name, self._token)

    def _has(self, kind: ObjectClass, name: str) -> bool:
        return self._token.use_key(kind, name, lambda _: True) is True


def _digest(data: bytes, algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
    wanted = algorithm.algorithm
    if isinstance(wanted, Prehashed):
        return data
    digest = hashes.Hash(wanted)
    digest.update(data)
    return digest.finalize()
