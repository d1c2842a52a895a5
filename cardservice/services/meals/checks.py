"""Why a meal that is on the menu is not sold to somebody: each check in turn, the first objection counts.

None of them asks who pays for the meal: a funded pupil is told what a paying one is who has as much to spend.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from cardservice.money import format_minor
from cardservice.services.limits import Allowance, allowances
from cardservice.services.meals import reasons
from cardservice.services.meals.details import ALLERGENS_READ, SECOND_MEAL
from cardservice.services.meals.periods import (
    DAY_LIMIT,
    ITEM_LIMIT,
    MAINS,
    SERVICE_LIMIT,
    mains_period,
    used_of,
)
from cardservice.services.meals.tray import Tray
from cardservice.services.seam import Ask, Funding, Holder, Refusal, View


@dataclass(frozen=True, slots=True)
class Standing:
    """A limit with what was used of it, and what a tray would use."""

    rule: str
    allowance: Allowance
    wanted: int

    @property
    def is_passed(self) -> bool:
        """Whether the tray would go beyond it; what is free passes none."""
        return self.wanted > 0 and self.wanted > self.allowance.left_minor

    @property
    def is_of_pieces(self) -> bool:
        """Whether pieces are counted, and not money."""
        return self.rule.startswith(ITEM_LIMIT)


def standings(view: View, ask: Ask, holder: Holder, day: date, tray: Tray | None) -> tuple[Standing, ...]:
    """Every limit that has a say in a sale; of a tray that is not known, that of the day alone."""
    return tuple(
        Standing(rule, allowance, wanted)
        for rule, wanted in _wanted(ask, tray)
        for allowance in allowances(view, ask, holder, rule, day.isoformat())
    )


def _wanted(ask: Ask, tray: Tray | None) -> Iterator[tuple[str, int]]:
    amount_minor = ask.amount_minor or 0
    yield DAY_LIMIT, amount_minor
    if tray is not None:
        yield f"{SERVICE_LIMIT}{tray.service}", amount_minor
        for key, count in tray.counts.items():
            yield f"{ITEM_LIMIT}{key}", count


def objections(
    ask: Ask, holder: Holder, view: View, tray: Tray, limits: tuple[Standing, ...]
) -> Iterator[Refusal]:
    """What speaks against serving it to the holder, in their order; a supervisor may say otherwise."""
    yield from allergen_stop(ask, holder, tray)
    yield from _blocked(tray, limits)
    yield from _second_meal(ask, holder, view, tray)
    yield from _limit(tray, limits)


def allergen_stop(ask: Ask, holder: Holder, tray: Tray) -> Iterator[Refusal]:
    """What of the tray contains, or may contain, what the holder must not eat, unless that was confirmed."""
    if not tray.menu.allergen_stop or ALLERGENS_READ in _confirmed(ask):
        return
    clashes = [
        f"{portion.item.label}: {', '.join(sorted(found))}"
        for portion in tray.portions
        if (found := holder.allergens & {*portion.item.contains, *portion.item.may_contain})
    ]
    if clashes:
        message = f"The holder must not eat what this contains or may contain ({'; '.join(clashes)})."
        yield Refusal(reason=reasons.ALLERGEN_STOP, message=message)


def _confirmed(ask: Ask) -> tuple[object, ...]:
    confirmed = ask.details.get("confirmed", ())
    return tuple(confirmed) if isinstance(confirmed, list | tuple) else ()


def _blocked(tray: Tray, limits: tuple[Standing, ...]) -> Iterator[Refusal]:
    for standing in limits:
        if not (standing.is_of_pieces and standing.is_passed):
            continue
        label = _label(tray, standing.rule)
        if standing.allowance.limit_minor == 0:
            yield Refusal(reason=reasons.ITEM_BLOCKED, message=f"{label} is blocked for this card.")
        else:
            whose = "the family's limit" if standing.allowance.shared else "the limit"
            message = f"{label}: {whose} for today leaves {standing.allowance.left_minor}."
            yield Refusal(reason=reasons.ITEM_LIMIT, message=message)


def _label(tray: Tray, rule: str) -> str:
    key = rule.removeprefix(ITEM_LIMIT)
    return next(portion.item.label for portion in tray.portions if portion.item.key == key)


def _second_meal(ask: Ask, holder: Holder, view: View, tray: Tray) -> Iterator[Refusal]:
    if not (tray.menu.second_meal_warning and tray.mains) or SECOND_MEAL in _confirmed(ask):
        return
    period = mains_period(tray.service, tray.menu.day_of(ask.occurred_at))
    if used_of(view, holder, MAINS, period):
        message = f"There was a main meal for this card at {tray.menu.services[tray.service]} already."
        yield Refusal(reason=reasons.SECOND_MEAL, message=message)


def _limit(tray: Tray, limits: tuple[Standing, ...]) -> Iterator[Refusal]:
    passed = [standing for standing in limits if standing.is_passed and not standing.is_of_pieces]
    if not passed:
        return
    least = min(passed, key=lambda standing: standing.allowance.left_minor)
    left = f"{format_minor(least.allowance.left_minor, tray.menu.currency)} {tray.menu.currency}"
    of = "" if least.rule == DAY_LIMIT else f" at {tray.menu.services[tray.service]}"
    shared = least.allowance.shared
    whose = f"The family's limit{of} for today" if shared else f"Today's limit{of}"
    yield Refusal(reason=reasons.LIMIT_REACHED, message=f"{whose} does not allow this: {left} is left.")


def arrears_limit(view: View, tray: Tray, funding: tuple[Funding, ...]) -> Iterator[Refusal]:
    """Whether a main meal that the money does not reach for would end in arrears beyond what may be owed."""
    most_minor = tray.menu.arrears_limit_minor
    costly = [line for line in tray.lines if line.amount_minor]
    if most_minor is None or not costly or not all(line.may_end_in_arrears for line in costly):
        return
    available_minor, owed_minor = sum(each.amount_minor for each in funding), 0
    for account in view.accounts:
        if account.kind == "prepaid":
            # Below its floor it is counted as less than nothing, as the ledger does: programmes make it up.
            available_minor += account.balance - (account.floor or 0)
        elif account.kind == "arrears":
            owed_minor = -account.balance
    missing_minor = sum(line.amount_minor for line in costly) - available_minor
    if missing_minor > 0 and owed_minor + missing_minor > most_minor:
        message = "Too much is owed on this account already. Ask a supervisor."
        yield Refusal(reason=reasons.ARREARS_LIMIT, message=message)
