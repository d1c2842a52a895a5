"""A tap: what happens between a card and the service when something is paid, lent or done."""

from reader_agent.tapping.card import PresentCard, identify
from reader_agent.tapping.flow import tap, tap_identified
from reader_agent.tapping.values import Outcome, Progress, Step, TapOrder, TapResult, ignore_progress

__all__ = [
    "Outcome",
    "PresentCard",
    "Progress",
    "Step",
    "TapOrder",
    "TapResult",
    "identify",
    "ignore_progress",
    "tap",
    "tap_identified",
]
