"""The payer's state as rules see it, and which of its counters they have looked at.

A payer's counters are many, and an explanation keeps only what counted: what was asked how much it is.
"""

from collections.abc import Sequence
from uuid import UUID

from cardservice.ledger.values import AccountView, CounterView, LimitView, PayerView


class _WatchedCounter:
    """A counter that notes when somebody asks how much was used."""

    __slots__ = ("_counter", "_looked_at")

    def __init__(self, counter: CounterView, looked_at: dict[CounterView, None]) -> None:
        self._counter, self._looked_at = counter, looked_at

    @property
    def cardholder_id(self) -> UUID:
        return self._counter.cardholder_id

    @property
    def rule(self) -> str:
        return self._counter.rule

    @property
    def period(self) -> str:
        return self._counter.period

    @property
    def used(self) -> int:
        self._looked_at[self._counter] = None
        return self._counter.used


class WatchedView:
    """A payer's view; `looked_at` are the counters whose amount has been asked for, each once."""

    __slots__ = ("_looked_at", "_view", "counters")

    def __init__(self, view: PayerView) -> None:
        self._view = view
        self._looked_at: dict[CounterView, None] = {}
        self.counters: Sequence[_WatchedCounter] = tuple(
            _WatchedCounter(counter, self._looked_at) for counter in view.counters
        )

    @property
    def looked_at(self) -> tuple[CounterView, ...]:
        """In the order in which they were looked at first."""
        return tuple(self._looked_at)

    @property
    def version(self) -> int:
        """The payer's version."""
        return self._view.version

    @property
    def accounts(self) -> Sequence[AccountView]:
        """All of the payer's."""
        return self._view.accounts

    @property
    def limits(self) -> Sequence[LimitView]:
        """All of the payer's."""
        return self._view.limits
