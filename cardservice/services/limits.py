"""Limits that a payer has set, compared with what has been used: what services of any kind ask about one.

A cardholder's own limit is compared with their own counter, a payer's with those of all its cardholders.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cardservice.services.seam import Ask, AskKind, Holder, Limit, View


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


def allowances(view: View, ask: Ask, holder: Holder, rule: str, period: str) -> tuple[Allowance, ...]:
    """The limits that hold for an ask under a rule in a period: the holder's own and the payer's, if any."""
    return tuple(_allowances(view, ask, holder, rule, period))


def _allowances(view: View, ask: Ask, holder: Holder, rule: str, period: str) -> Iterator[Allowance]:
    for owner in (holder.cardholder_id, None):
        limit = _in_force(view, ask, rule, owner)
        if limit is not None:
            used = sum(
                counter.used
                for counter in view.counters
                if (counter.rule, counter.period) == (rule, period) and owner in (None, counter.cardholder_id)
            )
            yield Allowance(limit.amount_minor, used, shared=owner is None)


def _in_force(view: View, ask: Ask, rule: str, owner: object) -> Limit | None:
    """The latest limit that holds at the ask's moment; for an advice, of those that were known then."""
    found = [
        limit
        for limit in view.limits
        if (limit.rule, limit.cardholder_id) == (rule, owner)
        and limit.valid_from <= ask.occurred_at
        and (ask.kind is AskKind.REQUEST or limit.recorded_at <= ask.occurred_at)
    ]
    # Of two set in one moment the later counts: they come in the order in which they were set.
    return max(reversed(found), key=lambda limit: (limit.valid_from, limit.recorded_at), default=None)
