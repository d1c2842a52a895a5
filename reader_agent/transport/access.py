"""How cards are connected to, as values that need no PC/SC."""

from dataclasses import dataclass
from typing import Final

from reader_agent.transport.traffic import TrafficLog


@dataclass(frozen=True, slots=True)
class Access:
    """What a program asks of every connection."""

    # Keep every other program off the reader for as long as the connection lasts, as a kiosk does
    is_exclusive: bool = False
    # Where the traffic is noted; by default nowhere
    traffic: TrafficLog | None = None


SHARED: Final = Access()
