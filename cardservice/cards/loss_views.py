"""The route by which a kiosk or the scheme's web pages pass on that a card is lost."""

from typing import Any

from marshmallow import fields

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, caller, context, terminal_signed
from cardservice.api.fields import Message, text
from cardservice.cards.told_alone import CHANNEL_OF, tell_lost_alone
from cardservice.terminals.roles import Duty

blueprint = Blueprint("losses", "cardservice.losses", description="Cards told lost.")
# Ours: of a name, as somebody types it
MAX_NAME = 200


class ToldLossAloneSchema(Message):
    """Who somebody says they are whose card is lost."""

    name = text(MAX_NAME, required=True, metadata={"description": "all of it"})
    born_on = text(40, required=True, metadata={"description": "such as 1987-06-15"})
    postcode = text(40, required=True)


class LossNotedSchema(Message):
    """That it was taken; never what came of it."""

    taken = fields.Boolean(required=True)


@blueprint.route("/v1/told-losses", methods=["POST"])
@blueprint.arguments(ToldLossAloneSchema)
@blueprint.response(200, LossNotedSchema)
@blueprint.problems(400, 401, 403, 413)
@terminal_signed(duty=Duty.TELL_LOSSES)
def post_told_loss(body: dict[str, Any]) -> dict[str, bool]:
    """Take it that somebody's cards are lost: they are revoked if all three are one person's."""
    tell_lost_alone(context(), CHANNEL_OF[caller().role], **body, actor=actor())
    return {"taken": True}
