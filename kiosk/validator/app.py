"""The validator's application: its page, and what the page's script asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Flask, current_app, render_template, request

from kiosk.agent import AgentClient, Asked, Event, Relay, Sale, Sales, asked
from kiosk.agent.views import register
from kiosk.validator import words
from kiosk.validator.trip import Trip
from kiosk.web import Face, Serving, create_app
from kiosk.web.server import MAX_STREAMS, Build

EXTENSION = "validator"

_PAYMENT = asked.PaymentSchema()


@dataclass(frozen=True, slots=True)
class ValidatorSettings:
    """What a validator was started with."""

    agent_url: str
    token_file: Path
    # As it was named to the agent
    reader: str
    trip: Trip


class Validator:
    """What the views work with."""

    def __init__(self, settings: ValidatorSettings, serving: Serving) -> None:
        self.settings = settings
        self.agent = AgentClient(settings.agent_url, settings.token_file)
        self.sales = Sales(self.agent)
        self.relay = Relay(self.agent, serving, _ignore, MAX_STREAMS)

    def board(self, tap: str, payment: Asked) -> Sale:
        """Have the card of this tap pay the trip. Raises AgentProblem, SaleUndecided.

        Without an amount: what a ride costs may depend on whose card it is.
        """
        order = {**self.settings.trip.order, "allow_offline": True}
        return self.sales.pay(tap, payment, order, may_retry=False)


def builder(settings: ValidatorSettings) -> Build:
    """What makes the application, in the process that serves it."""

    def build(face: Face, serving: Serving) -> Flask:
        app = create_app(face, blueprint)
        app.extensions[EXTENSION] = Validator(settings, serving)
        return app

    return build


def _validator() -> Validator:
    found: Validator = current_app.extensions[EXTENSION]
    return found


blueprint = Blueprint("validator", __name__)
register(blueprint, _validator)


@blueprint.get("/")
def page() -> str:
    """The one screen."""
    page_data = {"reader": _validator().settings.reader, "words": words.of_the_validator()}
    return render_template("validator/validator.html", page_data=page_data)


@blueprint.get("/trip")
def trip() -> Mapping[str, object]:
    """What the trip costs anybody, and its names. Asked now and then, so that the agent may serve offline."""
    found = _validator().agent.quote(_validator().settings.trip.order)
    return {name: found.get(name) for name in ("amount_minor", "currency", "lines", "offline")}


@blueprint.post("/taps/<tap>/sale")
def board(tap: str) -> Mapping[str, object]:
    """Have the card of this tap pay: once, however often it is asked."""
    payment, _ = asked.load(_PAYMENT, request.get_json())
    return _validator().board(tap, payment).to_json()


def _ignore(_: Event) -> None:
    """Nothing is kept of a card here."""
