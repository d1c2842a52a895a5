"""PIV data objects that say how a card is used: discovery, key history, printed information.

CHUID, certificates and the capability container, which every tap and every personalisation needs, are in
`piv`. Decoders pass over elements that they do not know; a card of somebody else may have more.
"""

from dataclasses import dataclass
from typing import Final

from reader_agent.cardspec import tlv
from reader_agent.cardspec.piv import AID, PivDataError

# PIN usage policy, first byte (SP 800-73-5 part 1, 3.3.2).
POLICY_APPLICATION_PIN: Final = 0x40
POLICY_GLOBAL_PIN: Final = 0x20
POLICY_FINGERPRINTS: Final = 0x10
POLICY_VIRTUAL_CONTACT: Final = 0x08
# Second byte, where the global PIN may be used, too: 20 says that it is the one to ask for.
PRIMARY_GLOBAL_PIN: Final = 0x20

MAX_OFF_CARD_URL: Final = 118  # SP 800-73-5 part 1, appendix A, key history


@dataclass(frozen=True, slots=True)
class Discovery:
    """Which PIN a card wants (SP 800-73-5 part 1, 3.3.2)."""

    aid: bytes = AID
    pin_policy: bytes = b"\x40\x00"

    @property
    def takes_global_pin(self) -> bool:
        """Whether the card's global PIN may stand for the application's."""
        return bool(self.pin_policy[0] & POLICY_GLOBAL_PIN)

    @property
    def prefers_global_pin(self) -> bool:
        """Whether it is the one that a person is to be asked for."""
        return self.takes_global_pin and self.pin_policy[1] == PRIMARY_GLOBAL_PIN

    @property
    def has_virtual_contact(self) -> bool:
        """Whether the card speaks secure messaging over its contactless face."""
        return bool(self.pin_policy[0] & POLICY_VIRTUAL_CONTACT)

    @classmethod
    def decode(cls, content: bytes) -> "Discovery":
        """Read what is inside the 7E. Raises PivDataError."""
        fields = _fields(content)
        policy = fields.get(0x5F2F, b"")
        if not fields.get(0x4F) or len(policy) != 2 or not policy[0] & POLICY_APPLICATION_PIN:
            raise PivDataError("this discovery object lacks the application's name or its PIN policy")
        return cls(fields[0x4F], policy)


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """How many retired keys the card has (SP 800-73-5 part 1, 3.3.3 and appendix A)."""

    on_card: int = 0
    off_card: int = 0
    off_card_url: str = ""

    def encode(self) -> bytes:
        """The object's content. Raises PivDataError for what no card can say."""
        url = self.off_card_url.encode()
        if not (0 <= self.on_card <= 20 and 0 <= self.off_card <= 20 and self.on_card + self.off_card <= 20):
            raise PivDataError("a card has twenty retired keys at most")
        if len(url) > MAX_OFF_CARD_URL or bool(url) != bool(self.off_card):
            raise PivDataError("the address of certificates off the card has 118 bytes at most")
        return b"".join(
            (
                tlv.encode(0xC1, bytes((self.on_card,))),
                tlv.encode(0xC2, bytes((self.off_card,))),
                tlv.encode(0xF3, url),
                tlv.encode(0xFE, b""),
            )
        )

    @classmethod
    def decode(cls, content: bytes) -> "KeyHistory":
        """Read the object's content. Raises PivDataError."""
        fields = _fields(content)
        counts = [fields.get(tag, b"") for tag in (0xC1, 0xC2)]
        if any(len(count) != 1 for count in counts):
            raise PivDataError("this key history lacks a number of keys")
        try:
            return cls(counts[0][0], counts[1][0], fields.get(0xF3, b"").decode("ascii"))
        except UnicodeDecodeError as error:
            raise PivDataError("this key history has an address that is no address") from error


@dataclass(frozen=True, slots=True)
class PrintedInformation:
    """What is printed on the card's face, which needs the PIN (SP 800-73-5 part 1, appendix A)."""

    name: str
    employee_affiliation: str
    expires_on: str  # as printed, like 2032DEC02
    serial_number: str
    issuer: str

    def encode(self) -> bytes:
        """The object's content. Raises PivDataError for what is no ASCII text."""
        texts = (self.name, self.employee_affiliation, self.expires_on, self.serial_number, self.issuer)
        if not all(text.isascii() for text in texts):
            raise PivDataError("printed information is ASCII text")
        tags = (0x01, 0x02, 0x04, 0x05, 0x06)
        fields = (tlv.encode(tag, text.encode()) for tag, text in zip(tags, texts, strict=True))
        return b"".join(fields) + tlv.encode(0xFE, b"")

    @classmethod
    def decode(cls, content: bytes) -> "PrintedInformation":
        """Read the object's content; text that is not ASCII is shown as it can be. Raises PivDataError."""
        fields = _fields(content)
        if 0x01 not in fields:
            raise PivDataError("this printed information names nobody")
        texts = (fields.get(tag, b"").decode("ascii", "replace") for tag in (0x01, 0x02, 0x04, 0x05, 0x06))
        return cls(*texts)


def _fields(content: bytes) -> dict[int, bytes]:
    try:
        return {item.tag: item.value for item in tlv.decode(content)}
    except tlv.TlvError as error:
        raise PivDataError("this is no sequence of data objects") from error
