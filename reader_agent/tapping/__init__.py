"""A tap: what happens between a card and the service when something is paid, lent or done."""

from reader_agent.tapping.flow import tap
from reader_agent.tapping.values import Outcome, Progress, Step, TapOrder, TapResult, ignore_progress

__all__ = ["Outcome", "Progress", "Step", "TapOrder", "TapResult", "ignore_progress", "tap"]
