"""What a terminal says of itself, as JSON."""

from marshmallow import fields
from marshmallow.validate import Length

from cardservice.api.fields import Bytes, Message, Moment, integer, text

_MOST_SERVICES = 32


class TerminalHealthSchema(Message):
    """How a terminal is, by its own account."""

    time = Moment(required=True, metadata={"description": "by its clock, when it said it"})
    waiting = integer(0, required=True, metadata={"description": "entries of its outbox that are to be told"})
    oldest_waiting_at = Moment(required=True, allow_none=True)
    trust_fetched_at = Moment(required=True, allow_none=True)
    lists_end_at = Moment(
        required=True,
        allow_none=True,
        metadata={"description": "of its revocation and status lists the first"},
    )
    version = text(64, required=True, metadata={"description": "of its program"})
    tariffs = fields.Dict(
        keys=text(64),
        values=text(128),
        required=True,
        validate=Length(0, _MOST_SERVICES),
        metadata={"description": "versions of what it may charge without the service, by service"},
    )


class EnrolmentSchema(Message):
    """A terminal that was invited, its code, and its request."""

    terminal = text(64, required=True)
    code = text(64, required=True, metadata={"description": "as it was told once; dashes do not count"})
    csr = Bytes(required=True, metadata={"description": "PKCS #10, DER, signed by the terminal's own key"})


class RenewalSchema(Message):
    """A request for the key that the terminal has."""

    csr = Bytes(required=True, metadata={"description": "PKCS #10, DER, signed by its present key"})


class TerminalCertificateSchema(Message):
    """A terminal's certificate."""

    certificate = Bytes(required=True, metadata={"description": "DER"})
    chain = fields.List(Bytes(), required=True, metadata={"description": "DER, issuer first, root last"})


class TerminalSeenSchema(Message):
    """That it was heard."""

    seen_at = Moment(required=True, metadata={"description": "by the service's clock"})
