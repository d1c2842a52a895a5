"""The routes of cards that were left at home or lost: lent for a day, taken back, told lost from afar."""

from typing import Any
from uuid import UUID

from marshmallow import fields
from marshmallow.validate import OneOf

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Identifier, Message, Moment, text
from cardservice.cards import personalisation, temporary
from cardservice.cards.losses import CHANNELS, Question, tell_lost
from cardservice.cards.service import AUTHORITY
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.cards import ONE, require_shown
from cardservice.staff_api.sharing import KEY_PARAMETER, NothingSchema, once

blueprint = Blueprint("staff-lendings", "cardservice.staff_api.lendings", description="Cards, for staff.")


class NewLendingSchema(Message):
    """Until when a card is lent; four days at most."""

    until = Moment(required=True)


class LendingSchema(Message):
    """The order of a card that is lent, which an issuing desk makes."""

    order = Identifier(required=True)
    card = Identifier(required=True)


class LentSchema(Message):
    """A card that is lent, and the card that was left at home."""

    card = Identifier(required=True)
    acts_for = Identifier(required=True)
    until = Moment(required=True)


class LentAllSchema(Message):
    """What is lent now, the most urgent first; it is as many as are lent for some days."""

    lent = fields.List(fields.Nested(LentSchema), required=True)


class AnswersSchema(Message):
    """What somebody answered who tells a loss; what they did not say is left out."""

    born_on = text(40)
    postcode = text(40)
    number = text(40, metadata={"description": "the last four characters of the number on the card"})


class ToldLossSchema(Message):
    """A loss that was told from afar, and what was answered."""

    channel = fields.String(load_default=CHANNELS[0], validate=OneOf(CHANNELS))
    answers = fields.Nested(AnswersSchema, required=True)


class LossTakenSchema(Message):
    """What came of it, for whoever takes it: to who tells it the card is stopped, and nothing else."""

    card = Identifier(required=True)
    verified = fields.Boolean(required=True)
    state = fields.String(required=True)
    attempts_left = fields.Integer(required=True)


@blueprint.route(f"{ONE}/lending", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(NewLendingSchema)
@blueprint.response(200, LendingSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_lending(body: dict[str, Any], card_id: UUID) -> Any:
    """Order the card that is lent to who has left this one at home; what the holder has is on it."""
    with context().database.begin() as connection:
        require_shown(connection, card_id)

        def make() -> dict[str, Any]:
            who: dict[str, Any] = {"actor": actor(), "moment": context().now()}
            order = personalisation.lend_card(connection, card_id, body["until"], **who)
            return {"order": str(order.id), "card": str(order.card_id)}

        return once(connection, make)


@blueprint.route("/v1/lent-cards")
@blueprint.response(200, LentAllSchema)
@blueprint.problems(401, 403)
@staff_alone
def get_lent() -> dict[str, Any]:
    """The cards that are lent."""
    with context().database.reading() as connection:
        found = temporary.lent_now(connection)
    return {"lent": [_lent(each) for each in found]}


@blueprint.route(f"{ONE}/taking-back", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, LentSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_taking_back(body: dict[str, Any], card_id: UUID) -> dict[str, Any]:
    """Take a lent card back: it is revoked, and the card that was left at home goes on."""
    del body
    with context().database.begin() as connection:
        require_shown(connection, card_id)
        authority = context().authority(AUTHORITY, connection)
        who: dict[str, Any] = {"actor": actor(), "moment": context().now()}
        return _lent(temporary.take_back(connection, authority, card_id, **who))


@blueprint.route(f"{ONE}/told-loss", methods=["POST"])
@blueprint.arguments(ToldLossSchema)
@blueprint.response(200, LossTakenSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_told_loss(body: dict[str, Any], card_id: UUID) -> dict[str, Any]:
    """Take a loss from somebody whom nobody sees: two right answers and no wrong one, and it is revoked.

    Otherwise it is suspended, and goes on at a desk. Five times a day for a card, whoever asks.
    """
    with context().database.reading() as connection:
        require_shown(connection, card_id)
    answers = {Question(name): said for name, said in body["answers"].items()}
    told = tell_lost(context(), card_id, body["channel"], answers, actor=actor())
    return {
        "card": card_id,
        "verified": told.verified,
        "state": told.state.value,
        "attempts_left": told.attempts_left,
    }


def _lent(each: temporary.Lent) -> dict[str, Any]:
    return {"card": each.card, "acts_for": each.acts_for, "until": each.due_at}
