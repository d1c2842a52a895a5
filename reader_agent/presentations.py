"""Who a card belongs to, as the service tells a terminal that may see it: data of a person, often a child.

Nothing in here is written to a disk or a log, and `repr` does not show it.
"""

from dataclasses import dataclass
from uuid import UUID

from reader_agent.errors import ServiceAnswerInvalid
from reader_agent.wire import Document

MAX_NAME, MAX_FORM = 200, 64
# Regulation (EU) 1169/2011 has fourteen. A code that is unknown here is shown all the same: to leave one out
# could harm, and a service may know more than this terminal.
MAX_ALLERGENS = 32
MAX_PHOTO_BYTES = 40 * 1024
# ISO/IEC 10918-1, B.1.1.3: SOI, and the first byte of the next marker
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True, repr=False)
class Presentation:
    """What a person at a till needs to recognise and serve the holder."""

    name: str
    # The school's form or class, where there is one
    form: str | None
    # Keys, in the service's order
    allergens: tuple[str, ...]
    # JPEG
    photo: bytes | None


def read_presentation(document: Document, card: UUID) -> Presentation:
    """The presentation of this card. Raises ServiceAnswerInvalid."""
    if document.identifier("card") != card:
        raise ServiceAnswerInvalid("it presents another card")
    return Presentation(
        name=document.label("name", MAX_NAME),
        form=None if document.is_null("form") else document.label("form", MAX_FORM),
        allergens=document.keys("allergens", MAX_ALLERGENS),
        photo=None if document.is_null("photo") else _photo(document),
    )


def _photo(document: Document) -> bytes:
    photo = document.octets("photo")
    if len(photo) > MAX_PHOTO_BYTES or not photo.startswith(_JPEG):
        raise ServiceAnswerInvalid(f"presentation.photo is not a JPEG of up to {MAX_PHOTO_BYTES} bytes")
    return photo
