"""The routes of the issuing desk: read the order, certify the card's keys, report the outcome; tell a PUK."""

from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import caller, context, terminal_signed
from cardservice.bureau.orders import require_not_at_bureau
from cardservice.cards import personalisation
from cardservice.cards.contents import contents_of
from cardservice.cards.schemas import (
    CardStateSchema,
    CardUnblockedSchema,
    CertificateRequestSchema,
    CertificateSchema,
    ContentsSchema,
    OrderSchema,
    OutcomeSchema,
    PukSchema,
)
from cardservice.cards.secrets import tell_puk
from cardservice.cards.service import AUTHORITY
from cardservice.cards.slots import SLOTS_OF_KIND, Slot
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
        require_not_at_bureau(connection, order_id)
    return {
        "order": order.id,
        "card": order.card_id,
        "kind": order.kind,
        "expires_on": order.expires_on,
        "management_key": context().keys.management_key(order.card_id),
        "puk": context().keys.puk(order.card_id),
        "slots": [slot.value for slot in SLOTS_OF_KIND[order.kind]],
    }


@blueprint.route(f"{_ORDER}/contents")
@blueprint.response(200, ContentsSchema)
@blueprint.problems(401, 403, 404, 409)
@terminal_signed(duty=Duty.PERSONALISE)
def get_contents(order_id: UUID) -> dict[str, Any]:
    """What to write to the card; each answer is written down as a read of the holder's record."""
    with context().database.begin() as connection:
        objects = contents_of(
            connection,
            context().keys,
            order_id,
            context().scheme.id,
            actor=_actor(),
            moment=context().now(),
        )
    return {"objects": [{"tag": f"{tag:X}", "content": content} for tag, content in objects.items()]}


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
            Slot(body["slot"]),
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
    """Report the card as done, which makes it active, or ready to be sent; or as failed, which revokes it."""
    with context().database.begin() as connection:
        card, state = personalisation.report(
            connection,
            context().authority(AUTHORITY, connection),
            order_id,
            done=body["outcome"] == "done",
            uid=body["uid"],
            desk=caller().id,
            spoiled=body["spoiled"],
            actor=_actor(),
            moment=context().now(),
        )
    return {"card": card, "state": state.value}


@blueprint.route("/v1/card-puks", methods=["POST"])
@blueprint.arguments(CardUnblockedSchema)
@blueprint.response(200, PukSchema)
@blueprint.problems(400, 401, 403, 422)
@terminal_signed(duty=Duty.UNBLOCK)
def post_puk(body: dict[str, Any]) -> dict[str, Any]:
    """The PUK of a card that lies on the desk; each answer is written down."""
    with context().database.begin() as connection:
        puk = tell_puk(connection, context().keys, body["card"], actor=_actor(), moment=context().now())
    return {"card": body["card"], "puk": puk}


def _actor() -> str:
    return f"terminal:{caller().id}"
