"""The messages of a presentation, as JSON."""

from marshmallow import fields
from marshmallow.validate import OneOf

from cardservice.allergens import ALLERGENS
from cardservice.api.fields import Bytes, Identifier, Message


class CardShownSchema(Message):
    """The card that lies on the reader."""

    card = Identifier(required=True)


class PresentationSchema(Message):
    """Whose card it is."""

    card = Identifier(required=True)
    name = fields.String(required=True)
    form = fields.String(
        required=True, allow_none=True, metadata={"description": "the school class; null: none is known"}
    )
    allergens = fields.List(
        fields.String(validate=OneOf(list(ALLERGENS))),
        required=True,
        metadata={"description": "what the holder must not eat"},
    )
    photo = Bytes(
        required=True,
        allow_none=True,
        metadata={"description": "JPEG, at most 40 kB and 480 by 640 pixels, base64url; null: there is none"},
    )
