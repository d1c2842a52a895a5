"""What waits for a second person."""

import click

from cardservice.commands.common import acting, command, identifier, json_option, money, opened, say
from cardservice.context import Context
from cardservice.staff import agreeing, second_person
from cardservice.staff.agreeing import Outcome, about


@click.group("second-person")
def second_person_group() -> None:
    """What one person has asked for, and another must agree to: many revocations at once, large refunds."""


@second_person_group.command("list")
@json_option
@command
def second_person_list(as_json: bool) -> None:
    """Show what waits, the oldest first."""
    with opened() as context, context.database.reading() as connection:
        found = second_person.waiting(connection)
    values = [
        {
            "id": str(each.id),
            "action": each.action,
            "asked_by": each.asked_by,
            "asked_at": each.asked_at.isoformat(),
            "about": about(each),
        }
        for each in found
    ]
    lines = [
        f"{each.id}  {each.action}  asked by {each.asked_by}, {each.asked_at.isoformat()}" for each in found
    ]
    say("\n".join(lines) or "Nothing waits.", {"waiting": values}, as_json=as_json)


@second_person_group.command("agree")
@click.argument("asked_id")
@json_option
@command
def second_person_agree(asked_id: str, as_json: bool) -> None:
    """Agree to what another has asked for: it is done now. What broke off goes on by the same command."""
    with opened() as context:
        done = agreeing.agree(context, identifier(asked_id), acting())
        words = _words(context, done)
    told = {"id": str(done.asked.id), "action": done.asked.action, "state": done.asked.state}
    half = {} if done.half is None else {"half": done.half}
    say(words, told | half, as_json=as_json)


@second_person_group.command("withdraw")
@click.argument("asked_id")
@json_option
@command
def second_person_withdraw(asked_id: str, as_json: bool) -> None:
    """Close what shall not be; whoever has asked for it may."""
    with opened() as context:
        asked = agreeing.withdraw(context, identifier(asked_id), acting())
    say(f"{asked.id} is withdrawn.", {"id": str(asked.id), "state": asked.state}, as_json=as_json)


def _words(context: Context, done: Outcome) -> str:
    if done.cards is not None:
        return f"{done.cards} cards are revoked."
    if done.half is not None:
        staff_id = done.asked.detail["staff"]
        return f"{staff_id} is let in anew; the second half of the code, for them alone: {done.half}"
    return f"Gave back {money(done.amount_minor or 0, context.scheme.currency)}."
