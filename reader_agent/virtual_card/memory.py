"""What a software card remembers without power, as a value and as JSON.

The file *is* the card: whoever reads it has its private keys, its PIN and its management key.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import Algorithm, ObjectId

FORMAT: Final = "citizen-card/virtual-card/1"  # ours
PIN_TRIES: Final = 5  # ours; SP 800-73-5 part 2, 3.2.1 leaves the number to the issuer
PUK_TRIES: Final = 10
MAX_SECRET_TRIES: Final = 15  # what 63Cx can tell, ISO/IEC 7816-4:2020, 5.6

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Secret:
    """A PIN or PUK: its eight bytes, and the tries that are left. At none it is blocked."""

    value: bytes = field(repr=False)
    tries_left: int
    tries: int

    def __post_init__(self) -> None:
        if len(self.value) != piv.PIN_LENGTH or not 0 <= self.tries_left <= self.tries <= MAX_SECRET_TRIES:
            raise ValueError("a PIN has eight bytes, and no more tries left than it has tries")


@dataclass(frozen=True, slots=True)
class CardMemory:
    """The card's non-volatile memory. Changed by making another one and committing it."""

    uid: bytes  # of the contactless chip, ISO/IEC 14443-3, 6.5.4: seven bytes
    management_algorithm: Algorithm
    management_key: bytes = field(repr=False)
    pin: Secret
    puk: Secret
    private_keys: Mapping[int, bytes] = field(default_factory=dict, repr=False)  # slot: PKCS#8
    objects: Mapping[int, bytes] = field(default_factory=dict)  # tag: content
    # Whether PIN and the keys that want it work without contact, too, as a YubiKey has it; the standard wants
    # secure messaging for that, which this card has not.
    contactless_pin: bool = False

    def __post_init__(self) -> None:
        if len(self.management_key) != piv.AES_KEY_LENGTH.get(self.management_algorithm):
            raise ValueError("the management key does not fit its algorithm")

    def with_object(self, object_id: int, content: bytes) -> "CardMemory":
        """The memory with this object; with empty content, without it (SP 800-73-5 part 2, 3.3.1)."""
        objects = {key: value for key, value in self.objects.items() if key != object_id}
        if content:
            objects[object_id] = content
        return replace(self, objects=objects)

    def with_private_key(self, slot: int, pkcs8: bytes) -> "CardMemory":
        """The memory with this slot's key made anew."""
        return replace(self, private_keys={**self.private_keys, slot: pkcs8})

    def to_json(self) -> bytes:
        """The file's content."""
        document = {
            "format": FORMAT,
            "uid": _hex(self.uid),
            "management": {"algorithm": f"{self.management_algorithm:02X}", "key": _hex(self.management_key)},
            "pin": _secret_to_json(self.pin),
            "puk": _secret_to_json(self.puk),
            "private_keys": {f"{slot:02X}": _hex(key) for slot, key in sorted(self.private_keys.items())},
            "objects": {f"{tag:06X}": _hex(content) for tag, content in sorted(self.objects.items())},
            "contactless_pin": self.contactless_pin,
        }
        return json.dumps(document, indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, raw: bytes) -> "CardMemory":
        """Read the file's content. Raises ValueError where it is anything else."""
        try:
            document: Any = json.loads(raw)
            if document["format"] != FORMAT:
                raise ValueError(f"its format is not {FORMAT}")
            return cls(
                uid=bytes.fromhex(document["uid"]),
                management_algorithm=Algorithm(int(document["management"]["algorithm"], 16)),
                management_key=bytes.fromhex(document["management"]["key"]),
                pin=_secret_from_json(document["pin"]),
                puk=_secret_from_json(document["puk"]),
                private_keys=_bytes_by_number(document["private_keys"]),
                objects=_bytes_by_number(document["objects"]),
                # Cards that were made before there was a choice do not say it.
                contactless_pin=_flag(document.get("contactless_pin", False)),
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("it is no card's memory") from error


def factory_memory(
    random_bytes: RandomBytes,
    *,
    transport_key: bytes = piv.WELL_KNOWN_TRANSPORT_KEY,
    pin: bytes | None = None,
    puk: bytes | None = None,
    contactless_pin: bool = False,
) -> CardMemory:
    """A card as it comes from its maker: a transport key for 9B, a transport PUK, no keys, no identity.

    Without a `pin` the PIN is blocked, and without a `puk` the PUK is the makers' well-known one. The length
    of the transport key tells its algorithm; ValueError if none has it.
    """
    algorithms = {length: algorithm for algorithm, length in piv.AES_KEY_LENGTH.items()}
    if len(transport_key) not in algorithms:
        raise ValueError("a management key has 16, 24 or 32 bytes")
    return CardMemory(
        uid=b"\x04"
        + random_bytes(6),  # ISO/IEC 7816-6: 04 is NXP's, as on the cards that this one stands for
        management_algorithm=algorithms[len(transport_key)],
        management_key=transport_key,
        pin=Secret(pin or random_bytes(piv.PIN_LENGTH), PIN_TRIES if pin else 0, PIN_TRIES),
        puk=Secret(puk or piv.encode_puk(piv.WELL_KNOWN_TRANSPORT_PUK), PUK_TRIES, PUK_TRIES),
        objects={ObjectId.CCC: piv.encode_ccc(random_bytes(14))},
        contactless_pin=contactless_pin,
    )


def _hex(raw: bytes) -> str:
    return raw.hex().upper()


def _secret_to_json(secret: Secret) -> dict[str, object]:
    return {"value": _hex(secret.value), "tries_left": secret.tries_left, "tries": secret.tries}


def _secret_from_json(document: Any) -> Secret:
    return Secret(bytes.fromhex(document["value"]), int(document["tries_left"]), int(document["tries"]))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("a flag is true or false")
    return value


def _bytes_by_number(document: Any) -> dict[int, bytes]:
    return {int(key, 16): bytes.fromhex(value) for key, value in document.items()}
