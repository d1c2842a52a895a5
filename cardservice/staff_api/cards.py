"""The routes of cards: found, shown, ordered, sent, activated, let rest, reported, revoked, replaced."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from marshmallow import fields
from marshmallow.validate import Length, OneOf
from sqlalchemy import Connection

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Identifier, Message, Moment, text
from cardservice.cardholders.guardians import May
from cardservice.cards import activation, life, personalisation
from cardservice.cards import service as cards
from cardservice.cards.finding import list_cards
from cardservice.cards.personalisation import Delivery, Order
from cardservice.cards.service import Card
from cardservice.cards.states import CRL_REASONS, REPORTS, CardState
from cardservice.pki_store.store import DatabaseCertificateStore
from cardservice.staff.agreeing import ask_many_revoked
from cardservice.staff.errors import CardMissing
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.serving import asked_by_field, serving
from cardservice.staff_api.sharing import (
    KEY_PARAMETER,
    Day,
    NothingSchema,
    ReasonSchema,
    StaffPageSchema,
    cursor,
    next_field,
    once,
)

blueprint = Blueprint("staff-cards", "cardservice.staff_api.cards", description="Cards, for staff.")
ONE = "/v1/cards/<uuid:card_id>"
_STATES = [state.value for state in CardState]
# Ours: what fits into a request of 64 KiB; longer lists are asked for at the keyboard.
MAX_REVOKED = 1000


class CardPageSchema(StaffPageSchema):
    """Which cards, and which page of them."""

    cardholder = Identifier(load_default=None)
    state = fields.String(load_default=None, validate=OneOf(_STATES))


class ListedCardSchema(Message):
    """A card in a list."""

    card = Identifier(required=True)
    cardholder = Identifier(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    expires_on = Day(required=True)


class CardsSchema(Message):
    """A page of cards, the newest first."""

    cards = fields.List(fields.Nested(ListedCardSchema), required=True)
    next = next_field()


class StateChangeSchema(Message):
    """A state that a card has had."""

    state = fields.String(required=True)
    since = Moment(required=True)
    reason = fields.String(required=True)


class CardSchema(ListedCardSchema):
    """A card with all its states, and the certificate of the key that signs taps."""

    replaces = Identifier(required=True, allow_none=True)
    history = fields.List(fields.Nested(StateChangeSchema), required=True)
    certificate = fields.String(required=True, allow_none=True, metadata={"description": "PEM"})


class NewCardSchema(Message):
    """A card to be made."""

    cardholder = Identifier(required=True)
    kind = fields.String(required=True, validate=OneOf(personalisation.KINDS))
    delivery = fields.String(
        load_default=Delivery.DESK.value, validate=OneOf([each.value for each in Delivery])
    )


class ReplacementSchema(Message):
    """How the card comes that takes another's place."""

    delivery = fields.String(
        load_default=Delivery.DESK.value, validate=OneOf([each.value for each in Delivery])
    )


class CardOrderSchema(Message):
    """A personalisation order, which an issuing desk works on."""

    order = Identifier(required=True)
    card = Identifier(required=True)
    kind = fields.String(required=True)
    expires_on = fields.String(required=True, metadata={"format": "date"})
    delivery = fields.String(required=True)


class CardReportSchema(ReasonSchema):
    """What somebody tells of a card."""

    what = fields.String(required=True, validate=OneOf([each.value for each in REPORTS]))
    asked_by = asked_by_field()


class RevocationSchema(Message):
    """Why a card is revoked."""

    reason = fields.String(required=True, validate=OneOf(sorted(CRL_REASONS)))


class ManySchema(RevocationSchema):
    """Many cards to be revoked."""

    cards = fields.List(Identifier(), required=True, validate=Length(1, MAX_REVOKED))


class AskedSchema(Message):
    """What waits for a second person."""

    id = Identifier(required=True)
    state = fields.String(required=True)


class LetterCodeSchema(Message):
    """The code of a card's letter, which nothing tells again."""

    card = Identifier(required=True)
    code = fields.String(required=True)


class ActivationSchema(Message):
    """The code of a card's letter, as its holder reads it."""

    code = text(32, required=True)


@blueprint.route("/v1/cards")
@blueprint.arguments(CardPageSchema, location="query")
@blueprint.response(200, CardsSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def get_cards(page: dict[str, Any]) -> dict[str, Any]:
    """Cards, of one holder or in one state or all, page by page."""
    limit: int = page["limit"]
    state = None if page["state"] is None else CardState(page["state"])
    with context().database.reading() as connection:
        found = list_cards(
            connection, page["cardholder"], state, after=cursor(page["after"]), limit=limit + 1
        )
    shown = found[:limit]
    listed = [
        {
            "card": each.id,
            "cardholder": each.cardholder_id,
            "kind": each.kind,
            "state": each.state.value,
            "expires_on": each.expires_on,
        }
        for each in shown
    ]
    return {"cards": listed, "next": str(shown[-1].id) if len(found) > limit else None}


@blueprint.route(ONE)
@blueprint.tagged
@blueprint.response(200, CardSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_card(card_id: UUID) -> dict[str, Any]:
    """A card's state and history."""
    with context().database.reading() as connection:
        return _shown(connection, card_id)


@blueprint.route("/v1/card-orders", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(NewCardSchema)
@blueprint.response(200, CardOrderSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_order(body: dict[str, Any]) -> Any:
    """Order a card for a cardholder; an issuing desk makes it."""
    with context().database.begin() as connection:

        def make() -> dict[str, Any]:
            return _order(
                personalisation.order_card(
                    connection,
                    body["cardholder"],
                    body["kind"],
                    delivery=Delivery(body["delivery"]),
                    actor=actor(),
                    moment=context().now(),
                )
            )

        return once(connection, make)


@blueprint.route(f"{ONE}/replacement", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(ReplacementSchema)
@blueprint.response(200, CardOrderSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_replacement(body: dict[str, Any], card_id: UUID) -> Any:
    """Order the card that takes another's place."""
    with context().database.begin() as connection:
        require_shown(connection, card_id)

        def make() -> dict[str, Any]:
            return _order(
                personalisation.order_replacement(
                    connection,
                    card_id,
                    delivery=Delivery(body["delivery"]),
                    actor=actor(),
                    moment=context().now(),
                )
            )

        return once(connection, make)


@blueprint.route(f"{ONE}/dispatch", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, LetterCodeSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_dispatch(body: dict[str, Any], card_id: UUID) -> dict[str, Any]:
    """Send a card that was made to be sent; the code for its letter. Sent again it is a new code."""
    del body
    _known(card_id)
    return {"card": card_id, "code": activation.dispatch(context(), card_id, actor=actor())}


@blueprint.route(f"{ONE}/activation", methods=["POST"])
@blueprint.arguments(ActivationSchema)
@blueprint.response(200, CardSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_activation(body: dict[str, Any], card_id: UUID) -> dict[str, Any]:
    """Put a card that was sent into use, by the code of its letter."""
    _known(card_id)
    activation.activate(context(), card_id, body["code"], actor=actor())
    with context().database.reading() as connection:
        return _shown(connection, card_id)


@blueprint.route(f"{ONE}/suspension", methods=["POST"])
@blueprint.arguments(ReasonSchema)
@blueprint.response(200, CardSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_suspension(body: dict[str, Any], card_id: UUID) -> dict[str, Any]:
    """Let a card rest: it is refused until it is released."""
    return _changed(card_id, life.suspend, reason=body["reason"])


@blueprint.route(f"{ONE}/release", methods=["POST"])
@blueprint.arguments(ReasonSchema)
@blueprint.response(200, CardSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_release(body: dict[str, Any], card_id: UUID) -> dict[str, Any]:
    """Let a suspended card be used again."""
    return _changed(card_id, life.release, reason=body["reason"])


@blueprint.route(f"{ONE}/report", methods=["POST"])
@blueprint.arguments(CardReportSchema)
@blueprint.response(200, CardSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_report(body: dict[str, Any], card_id: UUID) -> dict[str, Any]:
    """Note that a card is lost, stolen, damaged or withdrawn; it is revoked with that, for good."""
    with context().database.reading() as connection:
        holder = require_shown(connection, card_id).cardholder_id
    with serving(holder, body["asked_by"], May.REPORT_LOSS) as (connection, _):
        return _changed_on(connection, card_id, life.report, CardState(body["what"]), reason=body["reason"])


@blueprint.route(f"{ONE}/revocation", methods=["POST"])
@blueprint.arguments(RevocationSchema)
@blueprint.response(200, CardSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_revocation(body: dict[str, Any], card_id: UUID) -> dict[str, Any]:
    """Revoke a card for good; its next tap is refused."""
    return _changed(card_id, cards.revoke_card, reason=body["reason"])


@blueprint.route("/v1/card-revocations", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(ManySchema)
@blueprint.response(200, AskedSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_revocations(body: dict[str, Any]) -> Any:
    """Ask for many cards to be revoked; somebody else has to agree."""
    found = list(dict.fromkeys(body["cards"]))
    with context().database.begin() as connection:

        def make() -> dict[str, Any]:
            asked = ask_many_revoked(connection, found, body["reason"], actor=actor(), moment=context().now())
            return {"id": str(asked.id), "state": asked.state}

        return once(connection, make)


def _changed(card_id: UUID, change: Callable[..., None], *values: Any, reason: str) -> dict[str, Any]:
    with context().database.begin() as connection:
        return _changed_on(connection, card_id, change, *values, reason=reason)


def _changed_on(
    connection: Connection, card_id: UUID, change: Callable[..., None], *values: Any, reason: str
) -> dict[str, Any]:
    require_shown(connection, card_id)
    authority = context().authority(cards.AUTHORITY, connection)
    change(connection, authority, card_id, *values, reason=reason, actor=actor(), moment=context().now())
    return _shown(connection, card_id)


def _known(card_id: UUID) -> None:
    with context().database.reading() as connection:
        require_shown(connection, card_id)


def require_shown(connection: Connection, card_id: UUID) -> Card:
    """The card of an address. Raises CardMissing."""
    known = cards.find_card(connection, card_id)
    if known is None:
        raise CardMissing(card_id)
    return known


def _shown(connection: Connection, card_id: UUID) -> dict[str, Any]:
    known = require_shown(connection, card_id)
    issued = cards.card_certificate(DatabaseCertificateStore(connection), known.id)
    certificate = None if issued is None else x509.load_der_x509_certificate(issued.der)
    return {
        "card": known.id,
        "cardholder": known.cardholder_id,
        "kind": known.kind,
        "state": known.state.value,
        "expires_on": known.expires_on,
        "replaces": life.replaced_by(connection, known.id),
        "history": [
            {"state": each.state.value, "since": each.valid_from, "reason": each.reason}
            for each in known.states
        ],
        "certificate": None if certificate is None else certificate.public_bytes(Encoding.PEM).decode(),
    }


def _order(order: Order) -> dict[str, Any]:
    return {
        "order": str(order.id),
        "card": str(order.card_id),
        "kind": order.kind,
        "expires_on": order.expires_on.isoformat(),
        "delivery": order.delivery.value,
    }
