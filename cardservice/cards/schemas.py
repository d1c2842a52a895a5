"""The messages of the issuing desk, as JSON."""

from marshmallow import fields
from marshmallow.validate import OneOf

from cardservice.api.fields import Bytes, Identifier, Message


class OrderSchema(Message):
    """What the desk is to make."""

    order = Identifier(required=True)
    card = Identifier(required=True, metadata={"description": "the GUID to write to the card"})
    kind = fields.String(required=True)
    expires_on = fields.Date(required=True)
    management_key = Bytes(required=True, metadata={"description": "the card's own 9B key, AES-128"})


class CertificateRequestSchema(Message):
    """The card's request for its certificate."""

    csr = Bytes(required=True, metadata={"description": "PKCS #10, DER, signed by the key in slot 9E"})


class CertificateSchema(Message):
    """The card's certificate."""

    certificate = Bytes(required=True, metadata={"description": "DER"})
    chain = fields.List(Bytes(), required=True, metadata={"description": "DER, issuer first, root last"})


class OutcomeSchema(Message):
    """How the desk fared."""

    outcome = fields.String(required=True, validate=OneOf(["done", "failed"]))


class CardStateSchema(Message):
    """What the card is now."""

    card = Identifier(required=True)
    state = fields.String(required=True)
