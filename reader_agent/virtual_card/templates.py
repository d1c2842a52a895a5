"""What is inside a command's data: templates of which each element comes once (SP 800-73-5 part 2, 3.2.4)."""

from reader_agent.cardspec import piv, tlv
from reader_agent.cardspec.status import StatusWord
from reader_agent.virtual_card.security import Refused


def dynamic_authentication(data: bytes) -> dict[int, bytes]:
    """The elements of the 7C that `data` must be. Raises Refused."""
    items = decode(only(data, piv.TAG_DYNAMIC_AUTHENTICATION))
    if len({item.tag for item in items}) != len(items):
        raise Refused(StatusWord.INCORRECT_DATA)
    return {item.tag: item.value for item in items}


def only(data: bytes, tag: int) -> bytes:
    """The value of the one object that `data` must be. Raises Refused."""
    items = decode(data)
    if [item.tag for item in items] != [tag]:
        raise Refused(StatusWord.INCORRECT_DATA)
    return items[0].value


def decode(data: bytes) -> list[tlv.Tlv]:
    """All objects of one level. Raises Refused."""
    try:
        return tlv.decode(data)
    except tlv.TlvError:
        raise Refused(StatusWord.INCORRECT_DATA) from None


def answer(tag: int, value: bytes) -> bytes:
    """One element in a 7C."""
    return tlv.encode(piv.TAG_DYNAMIC_AUTHENTICATION, tlv.encode(tag, value))
