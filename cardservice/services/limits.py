"""Limits that a payer has set, compared with what has been used: what services of any kind ask about one.

A cardholder's own limit is compared with their own counter, a payer's with those of all its cardholders.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cardservice.services.seam import Ask, AskKind, Holder, Limit, View

# What stands for the amount of a limit that was lifted: none is below nothing.
LIFTED = -1


@dataclass(frozen=True, slots=True)
class Allowance:
    """A limit and what was used of it; `shared` by all of the payer's cardholders, or the holder's own."""

    limit_minor: int
    used_minor: int
    shared: bool

    @property
    def left_minor(self) -> int:
        """What may still be used; 0 where more was used than allowed."""
        return max(0, self.limit_minor - self.used_minor)

    def as_input(self, rule: str) -> dict[str, object]:
        """What explains a decision by it."""
        return {
            "rule": rule,
            "shared": self.shared,
            "limit_minor": self.limit_minor,
            "used_minor": self.used_minor,
        }


def day_rule(service: str) -> str:
    """The rule of what is spent with a service in a day: its own, or else every service's."""
    return f"{service}.day"


def allowances(view: View, ask: Ask, holder: Holder, rule: str, period: str) -> tuple[Allowance, ...]:
    """The limits that hold for an ask under a rule in a period: the holder's own and the payer's, if any."""
    known_then = ask.kind is AskKind.ADVICE
    return allowances_at(view, ask.occurred_at, holder.cardholder_id, rule, period, known_then=known_then)


def allowances_at(
    view: View, moment: datetime, holder: UUID, rule: str, period: str, *, known_then: bool
) -> tuple[Allowance, ...]:
    """The same, for somebody at a moment; `known_then` as `in_force` has it."""
    return tuple(_allowances(view, moment, holder, rule, period, known_then=known_then))


def _allowances(
    view: View, moment: datetime, holder: UUID, rule: str, period: str, *, known_then: bool
) -> Iterator[Allowance]:
    for owner in (holder, None):
        of_owner = (limit for limit in view.limits if (limit.rule, limit.cardholder_id) == (rule, owner))
        limit = in_force(of_owner, moment, known_then=known_then)
        if limit is not None and limit.amount_minor != LIFTED:
            used = sum(
                counter.used
                for counter in view.counters
                if (counter.rule, counter.period) == (rule, period) and owner in (None, counter.cardholder_id)
            )
            yield Allowance(limit.amount_minor, used, shared=owner is None)


def in_force(limits: Iterable[Limit], moment: datetime, *, known_then: bool) -> Limit | None:
    """The latest of one owner's limits under one rule that holds at `moment`.

    `known_then`: as for an advice, of those alone that were known at that moment.
    """
    found = [
        limit
        for limit in limits
        if limit.valid_from <= moment and (not known_then or limit.recorded_at <= moment)
    ]
    # Of two set in one moment the later counts: they come in the order in which they were set.
    return max(reversed(found), key=lambda limit: (limit.valid_from, limit.recorded_at), default=None)
