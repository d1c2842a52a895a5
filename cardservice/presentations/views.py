"""The route by which a till learns whose card it is.

A POST, so that no card's identifier stands in an address or in the log of a proxy.
"""

from typing import Any

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import caller, context, terminal_signed
from cardservice.presentations.schemas import CardShownSchema, PresentationSchema
from cardservice.presentations.service import Presentation, present
from cardservice.terminals.roles import Duty

blueprint = Blueprint("presentations", "cardservice.presentations", description="Whose card it is.")


@blueprint.route("/v1/presentations", methods=["POST"])
@blueprint.arguments(CardShownSchema)
@blueprint.response(200, PresentationSchema)
@blueprint.problems(400, 401, 403, 413, 422)
@terminal_signed(duty=Duty.SEE_HOLDER)
def post_presentation(body: dict[str, Any]) -> Presentation:
    """Whose card it is, and what they must not eat; each answer is written down as a read of their record."""
    return present(context(), caller(), body["card"])
