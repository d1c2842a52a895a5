"""Terms of lending as people compare them: a line for each thing that holds."""

from collections.abc import Iterator

from cardservice.money import format_minor
from cardservice.services.library.schemas import WEEKDAYS
from cardservice.services.library.terms import Terms
from cardservice.services.price_lists import Listed


def price_list(terms: Terms) -> tuple[Listed, ...]:
    """Everything that the terms say."""
    return tuple(_lines(terms))


def _lines(terms: Terms) -> Iterator[Listed]:
    yield Listed("the terms' days", f"{terms.first_day} to {terms.last_day} ({terms.zone.key})")
    yield Listed("prices without a connection hold for", f"{terms.offline_quote_hours} hours")
    yield Listed("a reserved copy is kept for", f"{terms.hold_shelf_days} days")
    weekdays = [WEEKDAYS[number] for number in sorted(terms.closed_weekdays)]
    closed = [*weekdays, *(day.isoformat() for day in sorted(terms.closed_days))]
    yield Listed("closed on", ", ".join(closed) or "no day")
    for key, label in terms.items.items():
        yield Listed(f"things, {key}", label)
    for category, members in terms.members.items():
        yield Listed(f"who is {category} is a member of the class", members.key)
    for members in terms.classes.values():
        what = f"members, {members.label} ({members.key})"
        says = f"{members.loans} loans, {members.holds} holds, {members.pc_minutes} minutes a day"
        yield Listed(what, says)
        yield Listed(f"{what}, do not borrow with", f"{members.overdue} things overdue")
        blocked = members.blocked_from_minor
        owed = "any amount" if blocked is None else f"less than {_money(terms, blocked)}"
        yield Listed(f"{what}, may owe", owed)
    for (key, items), row in terms.lending.items():
        what = f"{items} for {key}"
        yield Listed(what, f"{row.loans} for {row.days} days, renewed {row.renewals} times")
        fine = f"{_money(terms, row.fine_per_day_minor)} a day, {_money(terms, row.fine_cap_minor)} at most"
        yield Listed(f"{what}, late", f"{fine}, after {row.grace_days} days of grace")


def _money(terms: Terms, amount_minor: int) -> str:
    return f"{format_minor(amount_minor, terms.currency)} {terms.currency}"
