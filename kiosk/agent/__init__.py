"""The reader agent's daemon as a face sees it: asked by HTTP, its events passed on."""

from kiosk.agent.asked import Asked
from kiosk.agent.client import AgentAway, AgentClient, AgentProblem
from kiosk.agent.relay import Event, Relay
from kiosk.agent.sales import Answer, Sale, Sales, State

__all__ = [
    "AgentAway",
    "AgentClient",
    "AgentProblem",
    "Answer",
    "Asked",
    "Event",
    "Relay",
    "Sale",
    "Sales",
    "State",
]
