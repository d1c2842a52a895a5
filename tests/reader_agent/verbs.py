"""What is asked of a PIV session whose card answers whatever it likes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from reader_agent.cardspec.piv import Algorithm, KeyReference, ObjectId
from reader_agent.piv.inventory import take_inventory
from reader_agent.piv.session import PivSession

WELL_KNOWN_3DES = bytes(range(1, 9)) * 3


@dataclass
class Answers:
    """A card that answers each command by a function, or by what a table says."""

    answer: Callable[[bytes], bytes]
    sent: list[bytes] = field(default_factory=list)

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """See CardConnection."""
        self.sent.append(command)
        raw = self.answer(command)
        return raw[:-2], int.from_bytes(raw[-2:])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See CardConnection."""
        yield

    def close(self, *, reset: bool = False) -> None:
        """See CardConnection."""


VERBS: dict[str, Callable[[PivSession], object]] = {
    "select": lambda session: session.select(),
    "chuid": lambda session: session.chuid(),
    "discovery": lambda session: session.discovery(),
    "certificate": lambda session: session.certificate(KeyReference.PIV_AUTHENTICATION),
    "write": lambda session: session.write(ObjectId.SECURITY_OBJECT, bytes(600)),
    "sign": lambda session: session.sign(bytes(32)),
    "sign with RSA": lambda session: session.sign(
        bytes(256), KeyReference.DIGITAL_SIGNATURE, Algorithm.RSA_2048
    ),
    "generate RSA": lambda session: session.generate(KeyReference.PIV_AUTHENTICATION, Algorithm.RSA_2048),
    "generate P-384": lambda session: session.generate(KeyReference.PIV_AUTHENTICATION, Algorithm.ECC_P384),
    "generate": lambda session: session.generate_key(KeyReference.PIV_AUTHENTICATION),
    "management": lambda session: session.authenticate_management(WELL_KNOWN_3DES),
    "verify": lambda session: session.verify_pin("123456"),
    "change": lambda session: session.change_pin("123456", "654321"),
    "unblock": lambda session: session.unblock_pin("12345678", "654321"),
    "attempts": lambda session: session.pin_attempts(),
    "inventory": take_inventory,
}
