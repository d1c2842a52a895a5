"""The answer to a chunk of advices, as JSON."""

from marshmallow import fields

from cardservice.api.blueprints import ProblemSchema
from cardservice.api.fields import Bytes, Message
from cardservice.authorisation.schemas import GivenAnswerSchema


class ChunkEntrySchema(Message):
    """What became of one entry: one of the two."""

    answer = fields.Nested(GivenAnswerSchema)
    problem = fields.Nested(ProblemSchema)


class ChunkAnswerSchema(Message):
    """An entry for each of the chunk's, in their order, under one signature."""

    answers = fields.List(fields.Nested(ChunkEntrySchema), required=True)
    nonce = Bytes(required=True, metadata={"description": "for the next request"})
    signed_answers = Bytes(
        required=True, metadata={"description": "COSE_Sign1 of the service over all answers"}
    )
