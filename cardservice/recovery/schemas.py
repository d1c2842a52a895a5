"""The bodies of recovery."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Length

from cardservice.api.fields import Bytes, Message, Moment
from cardservice.authorisation.schemas import DETAILS, SALT_BYTES, AnnulSchema

MAX_MESSAGES = 100


class RecoverySchema(Message):
    """Whether terminals are to send again what they kept, and from when on."""

    recovery = fields.Integer(required=True, allow_none=True, metadata={"description": "its number, or null"})
    since = Moment(required=True, allow_none=True, metadata={"description": "what was settled from then on"})


class SentAgainSchema(Message):
    """A message exactly as it was sent before; a request with the answer that the service had signed."""

    statement = Bytes(metadata={"description": "COSE_Sign1, base64url"})
    details = fields.Dict(keys=fields.String(), validate=DETAILS)
    details_salt = Bytes(exactly=SALT_BYTES)
    annul = fields.Nested(AnnulSchema)
    signed_answer = Bytes(load_default=None, metadata={"description": "COSE_Sign1 of the service"})

    @validates_schema
    def check_one_of_two(self, data: Mapping[str, Any], **_: object) -> None:
        """Refuse both together, neither, and half a statement."""
        if set(data) - {"signed_answer"} not in ({"statement", "details", "details_salt"}, {"annul"}):
            raise ValidationError("either statement, details and details_salt, or annul")


class SentAgainRequestSchema(Message):
    """Messages of one terminal, in the order of its sequence."""

    messages = fields.List(fields.Nested(SentAgainSchema), required=True, validate=Length(0, MAX_MESSAGES))
    complete = fields.Boolean(
        required=True, metadata={"description": "whether the terminal has sent all that it kept"}
    )
