"""The routes of card bureaux: batches, the files out and in, and the letters with codes."""

from typing import Any
from uuid import UUID

from marshmallow import fields
from marshmallow.validate import Length, OneOf

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Bytes, Identifier, Message, Moment, text
from cardservice.blanks.service import MAX_LINE
from cardservice.bureau import orders
from cardservice.bureau.files import MOST_CARDS
from cardservice.bureau.letters import tell_letters
from cardservice.bureau.orders import Batch, Bureau
from cardservice.bureau.results import take_results
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.sharing import KEY_PARAMETER, NothingSchema, once

blueprint = Blueprint(
    "staff-bureaux", "cardservice.staff_api.bureaux", description="Card bureaux, for staff."
)
BATCH = "/v1/bureau-batches/<uuid:batch_id>"
RESULTS = "/v1/card-bureaux/<bureau_id>/results"
# Ours: a batch of a thousand cards; what is longer is taken at the keyboard.
MAX_FILE_BYTES, MAX_RESULTS_BYTES = 4 << 20, 6 << 20
_MAX_PEM = 2000


class BlanksOfSchema(Message):
    """Where a bureau's blanks are counted, and which they are."""

    place = text(required=True)
    product = text(MAX_LINE, required=True)


class BureauSchema(Message):
    """A bureau; `blanks` is null where they are its own."""

    bureau = text(required=True)
    name = text(MAX_LINE, required=True)
    blanks = fields.Nested(BlanksOfSchema, load_default=None, allow_none=True)


class NewBureauSchema(BureauSchema):
    """A bureau under an identifier of one's choice, with its two public keys (PEM, P-256)."""

    signing_key = text(_MAX_PEM, required=True, metadata={"description": "that signs its results"})
    sealing_key = text(_MAX_PEM, required=True, metadata={"description": "that orders are sealed for"})


class BureauxSchema(Message):
    """All bureaux; a scheme has few."""

    bureaux = fields.List(fields.Nested(BureauSchema), required=True)


class NewBatchSchema(Message):
    """Orders that a bureau makes; without `orders` all that wait for the post."""

    bureau = text(required=True)
    send_to = fields.String(load_default=orders.HOLDER, validate=OneOf(orders.SENT_TO))
    orders = fields.List(Identifier(), load_default=None, allow_none=True, validate=Length(1, MOST_CARDS))


class MadeBatchSchema(Message):
    """A batch, and how many cards it has."""

    batch = Identifier(required=True)
    cards = fields.Integer(required=True)


class BatchSchema(Message):
    """A batch with its orders."""

    batch = Identifier(required=True)
    bureau = fields.String(required=True)
    send_to = fields.String(required=True)
    made_at = Moment(required=True)
    orders = fields.List(Identifier(), required=True)


class BureauFileSchema(Message):
    """A file for a bureau, signed; the secrets in it are sealed for the bureau alone."""

    batch = Identifier(required=True)
    bureau = fields.String(required=True)
    content = Bytes(required=True)


class ResultsSchema(Message):
    """A bureau's file: what its cards have for keys, or what became of them."""

    content = Bytes(required=True, max_length=MAX_FILE_BYTES)
    dry_run = fields.Boolean(load_default=False)


class TakenSchema(Message):
    """What of a file was new; `known` is what was not."""

    batch = Identifier(required=True)
    keys = fields.Integer(required=True)
    made = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    known = fields.Integer(required=True)
    dry_run = fields.Boolean(required=True)


class AgainSchema(Message):
    """Whether cards that were sent get another letter, too; their former codes are void then."""

    again = fields.Boolean(load_default=False)


class LettersSchema(Message):
    """Letters, a page each, with codes that nothing tells again: print them, and keep nothing."""

    letters = fields.List(fields.String(), required=True)
    at_desk = fields.Integer(
        required=True, metadata={"description": "how many of them are handed over at a desk"}
    )


@blueprint.route("/v1/card-bureaux")
@blueprint.response(200, BureauxSchema)
@blueprint.problems(401, 403)
@staff_alone
def get_bureaux() -> dict[str, Any]:
    """Bureaux."""
    with context().database.reading() as connection:
        return {"bureaux": [_bureau(each) for each in orders.list_bureaux(connection)]}


@blueprint.route("/v1/card-bureaux", methods=["POST"])
@blueprint.arguments(NewBureauSchema)
@blueprint.response(200, BureauSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_bureau(body: dict[str, Any]) -> dict[str, Any]:
    """Register a bureau. Make sure that the keys are its own: what is sealed for them makes its cards."""
    given = body["blanks"]
    blanks = None if given is None else (given["place"], given["product"])
    keys = body["signing_key"].encode(), body["sealing_key"].encode()
    who: dict[str, Any] = {"actor": actor(), "moment": context().now()}
    with context().database.begin() as connection:
        orders.add_bureau(connection, body["bureau"], body["name"], *keys, blanks, **who)
    return {name: body[name] for name in ("bureau", "name", "blanks")}


@blueprint.route("/v1/bureau-batches", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(NewBatchSchema)
@blueprint.response(200, MadeBatchSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_batch(body: dict[str, Any]) -> Any:
    """Give a bureau orders of cards that are to be sent; no desk makes them then."""
    with context().database.begin() as connection:

        def make() -> dict[str, Any]:
            chosen = orders.waiting_orders(connection) if body["orders"] is None else body["orders"]
            who: dict[str, Any] = {"actor": actor(), "moment": context().now()}
            made = orders.make_batch(connection, body["bureau"], chosen, body["send_to"], **who)
            return {"batch": str(made.id), "cards": len(made.orders)}

        return once(connection, make)


@blueprint.route(BATCH)
@blueprint.response(200, BatchSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_batch(batch_id: UUID) -> dict[str, Any]:
    """A batch with its orders."""
    known = _batch(batch_id)
    return {
        "batch": known.id,
        "bureau": known.bureau_id,
        "send_to": known.send_to,
        "made_at": known.made_at,
        "orders": list(known.orders),
    }


@blueprint.route(f"{BATCH}/order-file", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, BureauFileSchema)
@blueprint.problems(400, 401, 403, 404)
@staff_alone
def post_order_file(body: dict[str, Any], batch_id: UUID) -> dict[str, Any]:
    """What the bureau is to make; that their records were read for it is noted with each person."""
    del body
    with context().database.begin() as connection:
        known = orders.require_batch(connection, batch_id)
        content = orders.order_file(context(), connection, known, actor=actor())
    return {"batch": known.id, "bureau": known.bureau_id, "content": content}


@blueprint.route(f"{BATCH}/certificates-file")
@blueprint.response(200, BureauFileSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_certificates_file(batch_id: UUID) -> dict[str, Any]:
    """The certificates for the keys that a batch's cards have made."""
    with context().database.reading() as connection:
        known = orders.require_batch(connection, batch_id)
        content = orders.certificates_file(context(), connection, known)
    return {"batch": known.id, "bureau": known.bureau_id, "content": content}


@blueprint.route(RESULTS, methods=["POST"])
@blueprint.arguments(ResultsSchema)
@blueprint.response(200, TakenSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_results(body: dict[str, Any], bureau_id: str) -> dict[str, Any]:
    """Take a bureau's file, all of it or nothing; with `dry_run` it is only said what it comes to."""
    dry_run: bool = body["dry_run"]
    taken = take_results(context(), bureau_id, body["content"], actor=actor(), dry_run=dry_run)
    return {
        "batch": taken.batch,
        "keys": taken.keys,
        "made": taken.made,
        "failed": taken.failed,
        "known": taken.known,
        "dry_run": dry_run,
    }


@blueprint.route(f"{BATCH}/letters", methods=["POST"])
@blueprint.arguments(AgainSchema)
@blueprint.response(200, LettersSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_letters(body: dict[str, Any], batch_id: UUID) -> dict[str, Any]:
    """Send what is made of a batch: letters with the codes that activate the cards."""
    told = tell_letters(context(), _batch(batch_id), actor=actor(), again=body["again"])
    return {
        "letters": [each.text for each in told],
        "at_desk": sum(not each.has_address for each in told),
    }


def _batch(batch_id: UUID) -> Batch:
    with context().database.reading() as connection:
        return orders.require_batch(connection, batch_id)


def _bureau(each: Bureau) -> dict[str, Any]:
    blanks = None if each.blanks is None else dict(zip(("place", "product"), each.blanks, strict=True))
    return {"bureau": each.id, "name": each.name, "blanks": blanks}
