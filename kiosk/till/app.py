"""The till's application: its page, and what the page's script asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, render_template, request

from kiosk.agent import AgentClient, AgentProblem, Relay, Sale, Sales
from kiosk.agent.views import register
from kiosk.errors import Malformed
from kiosk.till import words
from kiosk.till.basket import Basket, returned
from kiosk.till.pupils import Pupils
from kiosk.web import Face, Serving, create_app
from kiosk.web.pages import refuse
from kiosk.web.server import MAX_STREAMS, Build

EXTENSION = "till"
# docs/services/meals.md, "The actions"; and the detail that says the section
ANYWAY, SECTION = "serve-anyway", "service"


@dataclass(frozen=True, slots=True)
class TillSettings:
    """What a till was started with."""

    agent_url: str
    token_file: Path
    # As it was named to the agent
    reader: str
    service: str
    # Which of the service's sections is sold here; None: the person at the till chooses
    section: str | None
    # Whether the terminal is a supervisor's, who may have served what a till declines
    supervisor: bool


class Till:
    """What the views work with."""

    def __init__(self, settings: TillSettings, serving: Serving) -> None:
        self.settings = settings
        self.agent = AgentClient(settings.agent_url, settings.token_file)
        self.pupils = Pupils(self.agent)
        self.sales = Sales(self.agent)
        self.relay = Relay(self.agent, serving, self.pupils.notice, MAX_STREAMS)
        self._action: str | None = None

    def catalogue(self) -> Mapping[str, object]:
        """What is offered now. Raises AgentAway, AgentProblem."""
        found = self.agent.catalogue(self.settings.service)
        self._action = str(found["action"])
        return found

    def totals(self, since: str) -> Mapping[str, object]:
        """What this terminal has sold since a moment. Raises AgentAway, AgentProblem."""
        found = self.agent.totals(self.settings.service, since, by=SECTION)
        return {"groups": found["groups"]}

    def give_back(self, tap: str, document: object) -> Mapping[str, object]:
        """Give back a line of what this tap has paid. Raises Malformed, AgentAway, AgentProblem."""
        key, line = returned(document)
        sale = self.sales.find(tap)
        transaction = None if sale is None or sale.answer is None else sale.answer.transaction
        if transaction is None:
            raise AgentProblem(404, "sale_unknown", None, "this tap has paid nothing here")
        given = self.agent.refund(key, transaction, line)
        return {"amount_minor": given["amount_minor"], "currency": given["currency"]}

    def sell(self, tap: str, basket: Basket) -> Sale:
        """Have the card of this tap pay. Raises AgentAway, AgentProblem, SaleUndecided."""
        if basket.is_anyway and not self.settings.supervisor:
            raise Malformed
        if self._action is None:
            self.catalogue()
        order = {
            "service": self.settings.service,
            "action": ANYWAY if basket.is_anyway else self._action,
            "details": basket.details,
            "amount_minor": basket.amount_minor,
            # Without the service nothing is declined: there is nothing to overrule.
            "allow_offline": not basket.is_anyway,
        }
        return self.sales.pay(tap, basket.payment, order, may_retry=True)


def builder(settings: TillSettings) -> Build:
    """What makes the application, in the process that serves it."""

    def build(face: Face, serving: Serving) -> Flask:
        app = create_app(face, blueprint)
        app.extensions[EXTENSION] = Till(settings, serving)
        return app

    return build


def _till() -> Till:
    found: Till = current_app.extensions[EXTENSION]
    return found


blueprint = Blueprint("till", __name__)
register(blueprint, _till)


@blueprint.get("/")
def page() -> str:
    """The one screen."""
    settings = _till().settings
    return render_template(
        "till/till.html",
        page_data={
            "reader": settings.reader,
            "section": settings.section,
            "supervisor": settings.supervisor,
            "words": words.of_the_till(),
        },
    )


@blueprint.get("/catalogue")
def catalogue() -> Mapping[str, object]:
    """What is on the keys."""
    return _till().catalogue()


@blueprint.get("/totals")
def totals() -> Mapping[str, object]:
    """What this till has sold, of nobody."""
    return _till().totals(request.args.get("since", ""))


@blueprint.get("/taps/<tap>/holder")
def holder(tap: str) -> Mapping[str, object]:
    """Who stands there."""
    return _till().pupils.find(tap).to_json()


@blueprint.get("/taps/<tap>/photo")
def photo(tap: str) -> Response:
    """Their photo."""
    found = _till().pupils.photo(tap)
    return refuse(404, "not_found") if found is None else Response(found, content_type="image/jpeg")


@blueprint.post("/taps/<tap>/sale")
def sell(tap: str) -> Mapping[str, object]:
    """Charge a basket to the card of this tap: once, however often it is asked."""
    return _till().sell(tap, Basket.load(request.get_json())).to_json()


@blueprint.post("/taps/<tap>/refund")
def give_back(tap: str) -> Mapping[str, object]:
    """Give back a line of what this tap has paid: once, however often it is asked under one key."""
    return _till().give_back(tap, request.get_json())
