"""The routes of the issuing desk: read the order, certify the card's key, report the outcome."""

from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import caller, context, terminal_signed
from cardservice.cards import personalisation
from cardservice.cards.schemas import (
    CardStateSchema,
    CertificateRequestSchema,
    CertificateSchema,
    OrderSchema,
    OutcomeSchema,
)
from cardservice.cards.service import AUTHORITY
from cardservice.terminals.roles import Duty

blueprint = Blueprint("personalisation", "cardservice.personalisation", description="The issuing desk.")
_ORDER = "/v1/personalisation-orders/<uuid:order_id>"


@blueprint.route(_ORDER)
@blueprint.response(200, OrderSchema)
@blueprint.problems(401, 403, 404, 409)
@terminal_signed(duty=Duty.PERSONALISE)
def get_order(order_id: UUID) -> dict[str, Any]:
    """What to make, with the card's own management key; only while the order is open."""
    with context().database.reading() as connection:
        order = personalisation.open_order(connection, order_id)
    return {
        "order": order.id,
        "card": order.card_id,
        "kind": order.kind,
        "expires_on": order.expires_on,
        "management_key": context().keys.management_key(order.card_id),
    }


@blueprint.route(f"{_ORDER}/certificate", methods=["POST"])
@blueprint.arguments(CertificateRequestSchema)
@blueprint.response(200, CertificateSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@terminal_signed(duty=Duty.PERSONALISE)
def post_certificate(body: dict[str, Any], order_id: UUID) -> dict[str, Any]:
    """Certify the key that the card has made; the same key again gets the same certificate."""
    with context().database.begin() as connection:
        der = personalisation.certify(
            connection,
            context().authority(AUTHORITY, connection),
            order_id,
            body["csr"],
            actor=_actor(),
            moment=context().now(),
        )
    authorities = (context().issuer_of(x509.load_der_x509_certificate(der)), context().certificates["root"])
    return {"certificate": der, "chain": [each.public_bytes(Encoding.DER) for each in authorities]}


@blueprint.route(f"{_ORDER}/result", methods=["POST"])
@blueprint.arguments(OutcomeSchema)
@blueprint.response(200, CardStateSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@terminal_signed(duty=Duty.PERSONALISE)
def post_result(body: dict[str, Any], order_id: UUID) -> dict[str, Any]:
    """Report the card as done, which makes it active, or as failed, which revokes it."""
    with context().database.begin() as connection:
        card, state = personalisation.report(
            connection,
            context().authority(AUTHORITY, connection),
            order_id,
            done=body["outcome"] == "done",
            actor=_actor(),
            moment=context().now(),
        )
    return {"card": card, "state": state.value}


def _actor() -> str:
    return f"terminal:{caller().id}"
