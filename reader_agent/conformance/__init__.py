"""The same checks on whatever card and reader are there: what the agent relies on, each with its clause."""

from reader_agent.conformance.checks import CHECKS, Check, Outcome, Result, examine

__all__ = ["CHECKS", "Check", "Outcome", "Result", "examine"]
