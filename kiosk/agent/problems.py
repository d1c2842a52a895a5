"""What the agent refuses, and that it is away, become JSON for the page's script here."""

from flask import Blueprint, Response

from kiosk.agent.client import AgentAway, AgentProblem
from kiosk.agent.sales import SaleUndecided
from kiosk.web.pages import refuse


def register(blueprint: Blueprint) -> None:
    """Let this blueprint's views raise what the client raises."""
    blueprint.register_error_handler(AgentAway, _away)
    blueprint.register_error_handler(AgentProblem, _problem)
    blueprint.register_error_handler(SaleUndecided, _undecided)


def _away(error: AgentAway) -> Response:
    return refuse(503, error.code)


def _problem(error: AgentProblem) -> Response:
    # 401 and 421 are between this program and the agent; to the page both are that the agent cannot be asked.
    status = error.status if error.status in {400, 403, 404, 409, 410, 422} else 503
    return refuse(status, error.code, error.detail, reason=error.reason)


def _undecided(error: SaleUndecided) -> Response:
    return refuse(409, error.code)
