"""What every face that sells answers its page: events, how a sale stands, and that it be asked for again."""

from collections.abc import Callable, Mapping
from typing import Protocol

from flask import Blueprint, Response, request

from kiosk.agent.client import AgentAway, AgentProblem
from kiosk.agent.relay import Relay
from kiosk.agent.sales import Sale, Sales, SaleUndecided
from kiosk.errors import Malformed
from kiosk.web.pages import refuse


class Desk(Protocol):
    """What the face's own views work with, as far as these need it."""

    @property
    def relay(self) -> Relay:
        """The agent's events."""

    @property
    def sales(self) -> Sales:
        """The sales of this face."""


def register(blueprint: Blueprint, desk: Callable[[], Desk]) -> None:
    """Add them to a blueprint, whose views may raise what the client and the sales raise."""
    blueprint.register_error_handler(AgentAway, away)
    blueprint.register_error_handler(AgentProblem, problem)
    blueprint.register_error_handler(SaleUndecided, _undecided)

    @blueprint.get("/events")
    def events() -> Response:
        """Server-sent events: the agent's, and whether it is there."""
        stream = desk().relay.open(request.headers.get("Last-Event-ID"))
        return Response(stream, content_type="text/event-stream")

    @blueprint.get("/sale")
    def latest() -> Mapping[str, object]:
        """The sale that was begun last: a page that was loaded anew asks."""
        return _sale(desk().sales.latest)

    @blueprint.get("/taps/<tap>/sale")
    def find(tap: str) -> Mapping[str, object]:
        """The sale of a tap; it is not begun by asking."""
        return _sale(desk().sales.find(tap))

    @blueprint.post("/sale/again")
    def settle() -> Mapping[str, object]:
        """Ask the agent again for the sale that has no answer."""
        if request.get_json() != {}:
            raise Malformed
        return _sale(desk().sales.settle())


def _sale(found: Sale | None) -> Mapping[str, object]:
    return {"tap": None, "state": None, "outcome": None} if found is None else found.to_json()


def away(error: AgentAway) -> Response:
    """The agent does not answer."""
    return refuse(503, error.code)


def problem(error: AgentProblem) -> Response:
    """The agent refuses, and says why."""
    # 401 and 421 are between this program and the agent; to the page both are that the agent cannot be asked.
    status = error.status if error.status in {400, 403, 404, 409, 410, 422} else 503
    return refuse(status, error.code, error.detail, reason=error.reason)


def _undecided(error: SaleUndecided) -> Response:
    return refuse(409, error.code)
