"""A private key that stays on its card, in the shape that `cryptography` signs with."""

from typing import NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.utils import Buffer

from reader_agent.cardspec.piv import KeyReference
from reader_agent.piv.session import PivSession


class CardPrivateKey(ec.EllipticCurvePrivateKey):
    """A key on the card of a session. It signs while the session lasts, and can do nothing else.

    Key 9E unless another is named; for 9A and 9C the PIN must have been shown.
    """

    def __init__(
        self,
        session: PivSession,
        public_key: ec.EllipticCurvePublicKey,
        reference: KeyReference = KeyReference.CARD_AUTHENTICATION,
    ) -> None:
        self._session, self._public_key, self._reference = session, public_key, reference

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """The DER signature over the SHA-256 of `data`, or over `data` if it is a digest (Prehashed)."""
        if not isinstance(signature_algorithm, ec.ECDSA):
            raise TypeError("a card signs by ECDSA alone")
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, utils.Prehashed):
            return self._session.sign(bytes(data), self._reference)
        if not isinstance(algorithm, hashes.SHA256):
            raise TypeError("a P-256 key of a card signs SHA-256 digests (SP 800-78-5, table 2)")
        digest = hashes.Hash(algorithm)
        digest.update(data)
        return self._session.sign(digest.finalize(), self._reference)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The key's public half."""
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256."""
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        """In bits."""
        return self._public_key.key_size

    def exchange(self, *_: object, **__: object) -> bytes:
        """Refused: a key that signs agrees on nothing."""
        _refuse()

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        """Refused: the key never leaves the card."""
        _refuse()

    def private_bytes(self, *_: object, **__: object) -> bytes:
        """Refused: the key never leaves the card."""
        _refuse()

    def __copy__(self) -> "CardPrivateKey":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "CardPrivateKey":
        return self


def _refuse() -> NoReturn:
    raise TypeError("a key on a card signs, and does nothing else")
