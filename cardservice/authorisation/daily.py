"""What may be spent with a service in a day: held for every service that does not count it itself.

A service need not know of it. It is compared and counted where a limit was ever set, so that nobody else's
sales cost more: what was spent before, on the day on which the first was set, is not counted. Days are the
scheme's.
"""

from dataclasses import dataclass

from cardservice.authorisation.case import Case
from cardservice.authorisation.watched import WatchedView
from cardservice.ledger.values import CounterChange, CounterView
from cardservice.money import format_minor
from cardservice.services.limits import Allowance, allowances_at, day_rule
from cardservice.services.seam import Line


@dataclass(frozen=True, slots=True)
class Daily:
    """The day, the limits that hold on it, and the counters that tell how much of them was used."""

    rule: str
    day: str
    limits: tuple[Allowance, ...]
    looked_at: tuple[CounterView, ...]

    def passed_by(self, lines: tuple[Line, ...]) -> Allowance | None:
        """The limit that these lines would pass; of several the one with least left."""
        amount_minor = sum(line.amount_minor for line in lines)
        passed = [limit for limit in self.limits if amount_minor > limit.left_minor]
        return min(passed, key=lambda limit: limit.left_minor, default=None)

    def counted(self, case: Case, lines: tuple[Line, ...]) -> tuple[CounterChange, ...]:
        """What is spent; what is only set aside is counted when it is paid."""
        amount_minor = sum(line.amount_minor for line in lines if not line.held)
        if not amount_minor:
            return ()
        return (CounterChange(case.facts.card.cardholder_id, self.rule, self.day, amount_minor),)


def daily_of(case: Case) -> Daily | None:
    """What holds on the case's day; None where nobody ever limited it, or the service sees to it itself."""
    rule, holder = day_rule(case.service.name), case.facts.card.cardholder_id
    if rule in case.service.limits:
        return None
    if not any(limit.rule == rule and limit.cardholder_id in (None, holder) for limit in case.view.limits):
        return None
    view = WatchedView(case.view)
    limits = allowances_at(
        view,
        case.message.time,
        holder,
        rule,
        case.day,
        known_then=case.message.is_advice,
    )
    return Daily(rule, case.day, limits, view.looked_at)


def in_words(passed: Allowance, case: Case) -> str:
    """What who asks is told."""
    whose = "The limit for today of all who share the account" if passed.shared else "Today's limit"
    left = f"{format_minor(passed.left_minor, case.currency)} {case.currency}"
    return f"{whose} for {case.service.name} does not allow this: {left} is left."
