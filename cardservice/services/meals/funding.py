"""What programmes pay of a sale: by what was known of the person and what is left of the day, in their order.

Whoever is entitled pays like anybody else who has as much to spend: this alone knows where it comes from, and
nothing here is said to a till.
"""

from collections.abc import Iterator
from datetime import date

from cardservice.services.funded import Programme
from cardservice.services.meals.menu import Menu
from cardservice.services.meals.periods import PROGRAMME, used_of
from cardservice.services.seam import Ask, AskKind, Entitlement, Funding, Holder, View


def funding_of(
    menu: Menu, ask: Ask, holder: Holder, view: View, service: str, amount_minor: int
) -> tuple[Funding, ...]:
    """What each programme pays of a sale, the first first; together at most the amount."""
    if not (holder.entitlements and menu.programmes and amount_minor):
        return ()
    return tuple(_funding(menu, ask, holder, view, service, amount_minor))


def _funding(
    menu: Menu, ask: Ask, holder: Holder, view: View, service: str, amount_minor: int
) -> Iterator[Funding]:
    day = menu.day_of(ask.occurred_at)
    due_minor = amount_minor
    for programme in _paying(menu, ask, holder, service, day):
        rule = f"{PROGRAMME}{programme.key}"
        used_minor = used_of(view, holder, rule, day.isoformat())
        share_minor = min(due_minor, max(0, programme.amount_minor - used_minor))
        if share_minor:
            due_minor -= share_minor
            yield Funding(
                programme=programme.key,
                funder=programme.funder,
                rule=rule,
                period=day.isoformat(),
                amount_minor=share_minor,
            )


def _paying(menu: Menu, ask: Ask, holder: Holder, service: str, day: date) -> list[Programme]:
    """Which pay for the holder at a service on a day, in their order: the first, and those that add to it."""
    entitled = [
        programme
        for programme in sorted(menu.programmes, key=lambda each: each.precedence)
        if service in programme.services
        and programme.holds_on(day)
        and _is_entitled(programme, ask, holder, day)
    ]
    first = next((programme for programme in entitled if not programme.adds), None)
    return [programme for programme in entitled if programme.adds or programme is first]


def _is_entitled(programme: Programme, ask: Ask, holder: Holder, day: date) -> bool:
    """By the latest record: of an advice, the latest that was known when it was made."""
    known: Entitlement | None = None
    for entitlement in holder.entitlements:
        if entitlement.programme == programme.key and (
            ask.kind is AskKind.REQUEST or entitlement.recorded_at <= ask.occurred_at
        ):
            known = entitlement
    return (
        known is not None
        and known.first_day <= day < known.review_on
        and (not programme.years or known.year in programme.years)
    )
