"""What a terminal is given: masters of its provider's applications, sealed for it alone. The form is ours.

A terminal makes a key for one request and sends its public half in a request that its own key has signed; so
that key needs no other use than signing, and whoever steals it later opens nothing of before. What is sealed
is bound to scheme and terminal. HPKE (RFC 9180) in base mode with DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and
AES-256-GCM: the encapsulated key, then the ciphertext, of an array in deterministic CBOR of `[application,
key, version, master]` each.
"""

from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki.card_keys.aes import KEY_BYTES
from pki.card_keys.errors import CardKeysUnreadable, CardOrderInvalid
from pki.card_keys.masters import Application, ReleasedMaster, TerminalMaster, TerminalRole
from pki.errors import StatementMalformed
from pki.statements.cbor import decode_deterministic, deterministic

# SEC 1, 2.3.3: an uncompressed point of P-256
PUBLIC_KEY_BYTES = 65
_SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_USE, _VERSION = "card-keys", 1


class KeyRequest:
    """A terminal's half of one request: a key that is used once and never kept."""

    def __init__(self, scheme: str, terminal: str) -> None:
        self._info = _info(scheme, terminal)
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public_key(self) -> bytes:
        """What the request carries."""
        return self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def open(self, sealed: bytes) -> tuple[ReleasedMaster, ...]:
        """The masters of an answer to this request. Raises CardKeysUnreadable."""
        try:
            content = decode_deterministic(_SUITE.decrypt(sealed, self._key, self._info))
            return tuple(map(_read, _list(content)))
        except (InvalidTag, ValueError, TypeError, StatementMalformed, CardOrderInvalid) as error:
            raise CardKeysUnreadable(
                "the keys that the service sent are not sealed for this request; ask again"
            ) from error


def seal_masters(masters: Sequence[ReleasedMaster], public_key: bytes, scheme: str, terminal: str) -> bytes:
    """Masters for the terminal whose request carried this key. Raises ValueError for what is no such key."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise ValueError(f"a point of P-256 has {PUBLIC_KEY_BYTES} bytes")
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
    content: list[object] = [
        [each.master.application.number, each.master.role.value, each.master.version, each.value]
        for each in masters
    ]
    return _SUITE.encrypt(deterministic(content), key, _info(scheme, terminal))


def _info(scheme: str, terminal: str) -> bytes:
    return deterministic([scheme, _USE, _VERSION, terminal])


def _list(found: object) -> list[object]:
    if not isinstance(found, list):
        raise TypeError("what is no array stands where one belongs")
    return found


def _read(each: object) -> ReleasedMaster:
    application, role, version, value = _list(each)
    if not isinstance(application, int) or not isinstance(version, int):
        raise TypeError("an application and a version are numbers")
    if not isinstance(value, bytes) or len(value) != KEY_BYTES:
        raise ValueError("a master has 16 bytes")
    return ReleasedMaster(TerminalMaster(Application(application), TerminalRole(role), version), value)
