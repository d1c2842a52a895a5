"""The routes of blank cards: places, deliveries, moved, spoiled and counted ones, and what is low."""

from collections.abc import Callable
from typing import Any

from marshmallow import fields
from sqlalchemy import Connection

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Identifier, Message, integer, text
from cardservice.blanks import service as blanks
from cardservice.blanks.service import MAX_LINE, By, Delivery
from cardservice.ids import TerminalId
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.sharing import KEY_PARAMETER, once

blueprint = Blueprint("staff-stock", "cardservice.staff_api.stock", description="Blank cards, for staff.")


class PlaceSchema(Message):
    """A place that holds blanks, under an identifier of one's choice, such as town-hall."""

    place = text(required=True)
    name = text(MAX_LINE, required=True)


class PlacesSchema(Message):
    """All places; a scheme has few."""

    places = fields.List(fields.Nested(PlaceSchema), required=True)


class WhichStockSchema(Message):
    """What is asked for: one place, or only what is to be ordered."""

    place = text(load_default=None)
    low = fields.Boolean(load_default=False)


class StockSchema(Message):
    """What lies at a place of one kind; `low`: more is to be ordered."""

    place = fields.String(required=True)
    product = fields.String(required=True)
    count = fields.Integer(required=True)
    low_below = fields.Integer(required=True)
    low = fields.Boolean(required=True)


class AllStockSchema(Message):
    """What lies where, by place and kind; there are few of both."""

    stock = fields.List(fields.Nested(StockSchema), required=True)


class BlanksSchema(Message):
    """Blanks of one kind at a place."""

    product = text(MAX_LINE, required=True)
    place = text(required=True)


class NewDeliverySchema(BlanksSchema):
    """What a supplier has brought; numbers as printed on the blanks, where there are some."""

    supplier = text(MAX_LINE, required=True)
    count = integer(1, required=True)
    first_number = text(load_default=None)
    last_number = text(load_default=None)
    note = fields.String(load_default="")


class DeliverySchema(Message):
    """A delivery that was taken in."""

    delivery = Identifier(required=True)


class NewMovementSchema(Message):
    """Blanks that are moved from one place to another."""

    product = text(MAX_LINE, required=True)
    source = text(required=True, data_key="from")
    target = text(required=True, data_key="to")
    count = integer(1, required=True)
    note = fields.String(load_default="")


class SpoiledSchema(BlanksSchema):
    """Blanks that are of no use any more, and why."""

    count = integer(1, required=True)
    reason = text(MAX_LINE, required=True)


class NewCountSchema(BlanksSchema):
    """What somebody has counted, and why."""

    counted = integer(0, required=True)
    reason = text(MAX_LINE, required=True)


class CountSchema(Message):
    """What was expected and counted; the books say the same from then on."""

    expected = fields.Integer(required=True)
    counted = fields.Integer(required=True)
    difference = fields.Integer(required=True)


class WarningSchema(BlanksSchema):
    """From which number downwards more is to be ordered; 0: never."""

    low_below = integer(0, required=True)


class DeskSchema(BlanksSchema):
    """From where an issuing desk takes its blanks."""

    terminal = text(required=True)


@blueprint.route("/v1/blank-places")
@blueprint.response(200, PlacesSchema)
@blueprint.problems(401, 403)
@staff_alone
def get_places() -> dict[str, Any]:
    """Places that hold blanks."""
    with context().database.reading() as connection:
        found = blanks.places(connection)
    return {"places": [{"place": place, "name": name} for place, name in found]}


@blueprint.route("/v1/blank-places", methods=["POST"])
@blueprint.arguments(PlaceSchema)
@blueprint.response(200, PlaceSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_place(body: dict[str, Any]) -> dict[str, Any]:
    """Note a place that holds blanks."""
    with context().database.begin() as connection:
        blanks.add_place(connection, body["place"], body["name"], _by())
    return body


@blueprint.route("/v1/blank-stock")
@blueprint.arguments(WhichStockSchema, location="query")
@blueprint.response(200, AllStockSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def get_stock(asked: dict[str, Any]) -> dict[str, Any]:
    """What lies where."""
    with context().database.reading() as connection:
        return _shown(connection, asked["place"], low=asked["low"])


@blueprint.route("/v1/blank-deliveries", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(NewDeliverySchema)
@blueprint.response(200, DeliverySchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_delivery(body: dict[str, Any]) -> Any:
    """Take a delivery in."""
    delivery = Delivery(
        *(body["supplier"], body["product"], body["count"]),
        *(body["first_number"], body["last_number"], body["note"]),
    )
    return _once(
        lambda connection: {"delivery": str(blanks.receive(connection, delivery, body["place"], _by()))}
    )


@blueprint.route("/v1/blank-movements", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(NewMovementSchema)
@blueprint.response(200, AllStockSchema)
@blueprint.problems(400, 401, 403, 409, 422)
@staff_alone
def post_movement(body: dict[str, Any]) -> Any:
    """Move blanks; what lies at the place where they came to."""
    source, target = body["source"], body["target"]

    def move(connection: Connection) -> dict[str, Any]:
        blanks.move(connection, body["product"], source, target, body["count"], _by(), body["note"])
        return _shown(connection, target)

    return _once(move)


@blueprint.route("/v1/spoiled-blanks", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(SpoiledSchema)
@blueprint.response(200, AllStockSchema)
@blueprint.problems(400, 401, 403, 409, 422)
@staff_alone
def post_spoiled(body: dict[str, Any]) -> Any:
    """Write blanks off; what lies at the place."""

    def spoil(connection: Connection) -> dict[str, Any]:
        what = body["product"], body["place"], body["count"], body["reason"]
        blanks.spoil(connection, *what, _by())
        return _shown(connection, body["place"])

    return _once(spoil)


@blueprint.route("/v1/blank-counts", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(NewCountSchema)
@blueprint.response(200, CountSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_count(body: dict[str, Any]) -> Any:
    """Note how many somebody has counted."""

    def count(connection: Connection) -> dict[str, Any]:
        what = body["product"], body["place"], body["counted"], body["reason"]
        found = blanks.take_stock(connection, *what, _by())
        return {"expected": found.expected, "counted": found.counted, "difference": found.difference}

    return _once(count)


@blueprint.route("/v1/blank-warnings", methods=["POST"])
@blueprint.arguments(WarningSchema)
@blueprint.response(200, AllStockSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_warning(body: dict[str, Any]) -> dict[str, Any]:
    """Say from which number downwards more is to be ordered; what lies at the place."""
    with context().database.begin() as connection:
        blanks.warn_below(connection, body["product"], body["place"], body["low_below"], _by())
        return _shown(connection, body["place"])


@blueprint.route("/v1/blank-desks", methods=["POST"])
@blueprint.arguments(DeskSchema)
@blueprint.response(200, DeskSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_desk(body: dict[str, Any]) -> dict[str, Any]:
    """Let the cards that an issuing desk makes be taken from a place from now on."""
    with context().database.begin() as connection:
        terminal = TerminalId(body["terminal"])
        blanks.supply_desk(connection, terminal, body["product"], body["place"], _by())
    return body


def _once(change: Callable[[Connection], dict[str, Any]]) -> Any:
    with context().database.begin() as connection:
        return once(connection, lambda: change(connection))


def _by() -> By:
    return By(actor(), context().now())


def _shown(connection: Connection, place: str | None, *, low: bool = False) -> dict[str, Any]:
    return {
        "stock": [
            {
                "place": each.place,
                "product": each.product,
                "count": each.count,
                "low_below": each.low_below,
                "low": each.is_low,
            }
            for each in blanks.stock(connection, place, low=low)
        ]
    }
