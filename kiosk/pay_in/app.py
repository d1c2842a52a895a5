"""The application of the kiosk where holders pay in: its page, and what the page's script asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app, render_template, request
from marshmallow import RAISE, Schema, ValidationError, fields
from marshmallow.validate import Length, Range

from kiosk.agent import AgentAway, AgentClient, AgentProblem, Event, Relay
from kiosk.agent.views import away, problem
from kiosk.errors import Malformed
from kiosk.pay_in import words
from kiosk.pay_in.desk import Desk
from kiosk.web import Face, Serving, create_app
from kiosk.web.server import MAX_STREAMS, Build

EXTENSION = "pay-in"


@dataclass(frozen=True, slots=True)
class PayInSettings:
    """What a kiosk was started with."""

    agent_url: str
    token_file: Path
    # As it was named to the agent
    reader: str
    currency: str
    # What is on the keys, and the least and most that may be typed; in minor units
    amounts: tuple[int, ...]
    least_minor: int
    most_minor: int
    # Where the provider sends people back to; None: this page
    return_url: str | None = None


class PayInSchema(Schema):
    """An amount for the card of a tap."""

    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE

    tap = fields.String(required=True, validate=Length(1, 64))
    amount_minor = fields.Integer(required=True, strict=True, validate=Range(min=1))


class LossSchema(Schema):
    """Who somebody says they are whose cards are lost; the service looks at what it is."""

    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE

    name = fields.String(required=True, validate=Length(1, 200))
    born_on = fields.String(required=True, validate=Length(10, 10))
    postcode = fields.String(required=True, validate=Length(1, 16))


class Kiosk:
    """What the views work with."""

    def __init__(self, settings: PayInSettings, face: Face, serving: Serving) -> None:
        self.settings = settings
        agent = AgentClient(settings.agent_url, settings.token_file)
        self._agent = agent
        self.desk = Desk(agent, settings.reader, settings.return_url or face.url)
        self.relay = Relay(agent, serving, _ignore, MAX_STREAMS)

    def begin(self, document: object) -> Mapping[str, object]:
        """Begin a payment. Raises Malformed, AgentAway, AgentProblem."""
        asked = _loaded(PayInSchema(), document)
        amount = asked["amount_minor"]
        if not self.settings.least_minor <= amount <= self.settings.most_minor:
            raise Malformed
        return self.desk.begin(asked["tap"], amount)

    def tell_lost(self, document: object) -> None:
        """Pass on that somebody's cards are lost; nothing of it is kept. Raises as `begin`."""
        self._agent.tell_lost(**_loaded(LossSchema(), document))


def _loaded(schema: Schema, document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise Malformed
    try:
        asked: dict[str, Any] = schema.load(document)
    except ValidationError as error:
        raise Malformed from error
    return asked


def builder(settings: PayInSettings) -> Build:
    """What makes the application, in the process that serves it."""

    def build(face: Face, serving: Serving) -> Flask:
        app = create_app(face, blueprint)
        app.extensions[EXTENSION] = Kiosk(settings, face, serving)
        return app

    return build


def _kiosk() -> Kiosk:
    found: Kiosk = current_app.extensions[EXTENSION]
    return found


blueprint = Blueprint("pay_in", __name__)
blueprint.register_error_handler(AgentAway, away)
blueprint.register_error_handler(AgentProblem, problem)


@blueprint.get("/")
def page() -> str:
    """The one screen; the provider sends people back here."""
    settings = _kiosk().settings
    page_data = {
        "reader": settings.reader,
        "currency": settings.currency,
        "least_minor": settings.least_minor,
        "most_minor": settings.most_minor,
        "words": words.of_the_kiosk(),
    }
    return render_template("pay_in/pay_in.html", page_data=page_data, amounts=settings.amounts)


@blueprint.get("/events")
def events() -> Response:
    """Server-sent events: the agent's, and whether it is there."""
    stream = _kiosk().relay.open(request.headers.get("Last-Event-ID"))
    return Response(stream, content_type="text/event-stream")


@blueprint.post("/payment")
def begin() -> Mapping[str, object]:
    """Begin a payment: where to pay."""
    return {"payment": _kiosk().begin(request.get_json())}


@blueprint.get("/payment")
def look() -> Mapping[str, object]:
    """How the payment is that goes on here."""
    return {"payment": _kiosk().desk.look()}


@blueprint.post("/payment/again")
def again() -> Mapping[str, object]:
    """The same payment, and where to pay it."""
    _require_nothing()
    return {"payment": _kiosk().desk.again()}


@blueprint.post("/payment/cancellation")
def give_up() -> Mapping[str, object]:
    """Give it up."""
    _require_nothing()
    return {"payment": _kiosk().desk.give_up()}


@blueprint.post("/loss")
def tell_lost() -> Mapping[str, object]:
    """Somebody's cards are lost: that it was taken, and no more."""
    _kiosk().tell_lost(request.get_json())
    return {"taken": True}


@blueprint.post("/finish")
def finish() -> Mapping[str, object]:
    """The person has finished: nothing of it is known here any more."""
    _require_nothing()
    _kiosk().desk.forget()
    return {}


def _require_nothing() -> None:
    if request.get_json() != {}:
        raise Malformed


def _ignore(_: Event) -> None:
    """Nothing is kept of a card here."""
