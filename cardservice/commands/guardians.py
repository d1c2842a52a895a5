"""Guardians: who may act for a child, what for and how long; who is barred; and whose families these are."""

from datetime import datetime
from typing import Any

import click

from cardservice.cardholders.asking import Child
from cardservice.cardholders.details import Noting
from cardservice.cardholders.families import show_family, show_guardians
from cardservice.cardholders.guardians import (
    MAY,
    RELATIONS,
    Days,
    Guardianship,
    May,
    add_guardian,
    bar,
    end,
)
from cardservice.cardholders.service import require_cardholder
from cardservice.commands.asking import asked_here
from cardservice.commands.common import command, identifier, json_option, opened, say
from cardservice.commands.exporting import cardholder
from cardservice.commands.records import noting_of

__all__ = ["cardholder"]

_DAY = click.DateTime(["%Y-%m-%d"])
_from = click.option("--from", "first_day", type=_DAY, help="The first day; without it, from today on.")
_until = click.option("--until", "last_day", type=_DAY, help="The last day on which it holds.")


@cardholder.group("guardian")
def guardian() -> None:
    """Who may act for a child, and who may not."""


@guardian.command(
    "add",
    help=f"""Note that PERSON, who has a record, may act for a child.

    It ends by itself at the age that the scheme sets (CARDSERVICE_GUARDIAN_AGE).
    {"; ".join(f"{may}: {what}" for may, what in MAY.items())}.

    \b
    For example:
      cardservice cardholder guardian add CHILD PERSON --may pay --may limits
    """,
)
@click.argument("child_id")
@click.argument("person_id")
@click.option("--relation", type=click.Choice(RELATIONS), default=RELATIONS[0], show_default=True)
@click.option(
    "--may",
    "rights",
    type=click.Choice([each.value for each in May]),
    multiple=True,
    help="What they may do, once for each; without it, all.",
)
@_from
@_until
@json_option
@command
def guardian_add(
    child_id: str,
    person_id: str,
    relation: str,
    rights: tuple[str, ...],
    first_day: datetime | None,
    last_day: datetime | None,
    as_json: bool,
) -> None:
    """Note that somebody may act for a child."""
    may = frozenset(map(May, rights)) or frozenset(May)
    with opened() as context, context.database.begin() as connection:
        noting = noting_of(context, connection, child_id)
        until_age, days = context.settings.guardian_age, _days(noting, first_day, last_day)
        made = add_guardian(connection, noting, identifier(person_id), relation, may, days, until_age)
    values = {"guardianship": str(made), "cardholder": child_id, "person": person_id, "may": sorted(may)}
    say(f"Guardianship {made}: {', '.join(sorted(may))}", values, as_json=as_json)


@guardian.command("bar")
@click.argument("child_id")
@click.argument("person_id")
@click.option("--order", required=True, help="What the court's order is called; it is sealed.")
@_from
@_until
@json_option
@command
def guardian_bar(
    child_id: str,
    person_id: str,
    order: str,
    first_day: datetime | None,
    last_day: datetime | None,
    as_json: bool,
) -> None:
    """Note that a court has barred a person from a child: whatever rights they have, none counts.

    The child's record gets the flag court_order, which stays when the bar ends.
    """
    with opened() as context, context.database.begin() as connection:
        noting = noting_of(context, connection, child_id)
        made = bar(connection, noting, identifier(person_id), order, _days(noting, first_day, last_day))
    values = {"guardianship": str(made), "cardholder": child_id, "person": person_id}
    say(f"Barred, by {made}.", values, as_json=as_json)


@guardian.command("end")
@click.argument("child_id")
@click.argument("guardianship_id")
@json_option
@command
def guardian_end(child_id: str, guardianship_id: str, as_json: bool) -> None:
    """End a guardianship or a bar, from now on; guardian list says what they are called."""
    with opened() as context, context.database.begin() as connection:
        end(connection, noting_of(context, connection, child_id), identifier(guardianship_id))
    say("Ended.", {"guardianship": guardianship_id, "cardholder": child_id}, as_json=as_json)


@guardian.command("list")
@click.argument("child_id")
@json_option
@command
def guardian_list(child_id: str, as_json: bool) -> None:
    """List who may act for a child and who is barred, also what ended; that you looked is noted of all."""
    with opened() as context, context.database.begin() as connection:
        found = show_guardians(connection, noting_of(context, connection, child_id))
    values = [_values(each) for each in found]
    lines = [f"{each.id}  {each.person_id}  {_words(each)}" for each in found]
    told = {"cardholder": child_id, "guardians": values}
    say("\n".join(lines) or "There is nobody.", told, as_json=as_json)


@guardian.command("family")
@click.argument("person_id")
@json_option
@command
def guardian_family(person_id: str, as_json: bool) -> None:
    """List the children for whom a person may act today, what they may, and who pays for each.

    Siblings under one payer are named with it; a guardian can have children under several.
    """
    with opened() as context, context.database.begin() as connection:
        person = require_cardholder(connection, identifier(person_id))
        found = show_family(connection, asked_here(context), person)
    values = [_child(each) for each in found]
    lines = [f"{one['cardholder']}  payer {one['payer']}  may {', '.join(one['may'])}" for one in values]
    told = {"person": person_id, "children": values}
    say("\n".join(lines) or "There are no children.", told, as_json=as_json)


def _days(noting: Noting, first: datetime | None, last: datetime | None) -> Days:
    today = noting.today
    return Days(today if first is None else first.date(), None if last is None else last.date())


def _values(each: Guardianship) -> dict[str, Any]:
    return {
        "guardianship": str(each.id),
        "person": str(each.person_id),
        "relation": each.relation,
        "may": sorted(each.may),
        "barred_by": each.order,
        "from": each.first_day.isoformat(),
        "until": None if each.last_day is None else each.last_day.isoformat(),
        "ended": each.is_ended,
    }


def _words(each: Guardianship) -> str:
    what = f"BARRED by {each.order}" if each.bars else f"{each.relation}, may {', '.join(sorted(each.may))}"
    until = "" if each.last_day is None else f" until {each.last_day}"
    return f"{what}, from {each.first_day}{until}{', ended' if each.is_ended else ''}"


def _child(each: Child) -> dict[str, Any]:
    return {
        "cardholder": str(each.guardianship.child_id),
        "may": sorted(each.guardianship.may),
        "payer": None if each.payer_id is None else str(each.payer_id),
        "siblings_of_that_payer": [str(one) for one in each.siblings],
    }
