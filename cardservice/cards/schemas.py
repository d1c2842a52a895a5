"""The messages of the issuing desk, as JSON."""

from marshmallow import fields
from marshmallow.validate import OneOf

from cardservice.api.fields import Bytes, Identifier, Message
from cardservice.cards.slots import Slot

_SLOTS = [slot.value for slot in Slot]


class OrderSchema(Message):
    """What the desk is to make."""

    order = Identifier(required=True)
    card = Identifier(required=True, metadata={"description": "the GUID to write to the card"})
    kind = fields.String(required=True)
    expires_on = fields.Date(required=True)
    management_key = Bytes(required=True, metadata={"description": "the card's own 9B key, AES-128"})
    puk = fields.String(required=True, metadata={"description": "the card's own PUK, eight digits"})
    slots = fields.List(
        fields.String(validate=OneOf(_SLOTS)),
        required=True,
        metadata={"description": "whose keys the card is to make, in this order"},
    )


class ObjectSchema(Message):
    """A data object of the card."""

    tag = fields.String(required=True, metadata={"description": "in hex, such as 5FC102"})
    content = Bytes(required=True, max_length=16_384, metadata={"description": "what the 53 holds"})


class ContentsSchema(Message):
    """What to write to the card beside its keys and certificates."""

    objects = fields.List(fields.Nested(ObjectSchema), required=True)


class CertificateRequestSchema(Message):
    """The card's request for its certificate."""

    csr = Bytes(required=True, metadata={"description": "PKCS #10, DER, signed by the key in the slot"})
    slot = fields.String(load_default=Slot.CARD_AUTHENTICATION.value, validate=OneOf(_SLOTS))


class CertificateSchema(Message):
    """The card's certificate."""

    certificate = Bytes(required=True, metadata={"description": "DER"})
    chain = fields.List(Bytes(), required=True, metadata={"description": "DER, issuer first, root last"})


class OutcomeSchema(Message):
    """How the desk fared."""

    outcome = fields.String(required=True, validate=OneOf(["done", "failed"]))
    uid = Bytes(
        load_default=None,
        max_length=10,
        metadata={"description": "of a card that is done, if the desk can read it: 4, 7 or 10 bytes"},
    )
    spoiled = fields.Boolean(
        load_default=False,
        metadata={"description": "of a card that failed, whether its blank is of no use any more"},
    )


class CardStateSchema(Message):
    """What the card is now."""

    card = Identifier(required=True)
    state = fields.String(required=True)


class CardUnblockedSchema(Message):
    """The card whose holder has forgotten the PIN."""

    card = Identifier(required=True)


class PukSchema(Message):
    """What sets a new PIN."""

    card = Identifier(required=True)
    puk = fields.String(required=True, metadata={"description": "eight digits"})


class MapKeySchema(Message):
    """What card maps are read with."""

    key = Bytes(required=True, metadata={"description": "32 bytes; keep it as you keep your own keys"})
    key_id = Bytes(required=True, metadata={"description": "8 bytes, by which a map names it"})
