"""What waits for a second person."""

from uuid import UUID

import click

from cardservice.audit.service import record
from cardservice.authorisation.refunding import Wish
from cardservice.authorisation.refunds import Refund, give
from cardservice.cards import many
from cardservice.commands.common import (
    acting,
    actor,
    command,
    identifier,
    json_option,
    money,
    opened,
    say,
)
from cardservice.context import Context
from cardservice.ids import TransactionId
from cardservice.staff import second_person
from cardservice.staff.second_person import NEEDS, REVOKE_MANY, Asked


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
            "about": _about(each),
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
        with context.database.begin() as connection:
            _require_right(second_person.find(connection, identifier(asked_id)))
            asked = second_person.agree(connection, identifier(asked_id), actor=actor(), moment=context.now())
        words = _do(context, asked)
    say(words, {"id": str(asked.id), "action": asked.action, "state": asked.state}, as_json=as_json)


@second_person_group.command("withdraw")
@click.argument("asked_id")
@json_option
@command
def second_person_withdraw(asked_id: str, as_json: bool) -> None:
    """Close what shall not be; whoever has asked for it may."""
    with opened() as context, context.database.begin() as connection:
        _require_right(second_person.find(connection, identifier(asked_id)))
        asked = second_person.withdraw(connection, identifier(asked_id), actor=actor(), moment=context.now())
    say(f"{asked.id} is withdrawn.", {"id": str(asked.id), "state": asked.state}, as_json=as_json)


def _about(asked: Asked) -> dict[str, object]:
    """What it is about; of a long list how long it is."""
    return {name: len(value) if isinstance(value, list) else value for name, value in asked.detail.items()}


def _require_right(asked: Asked) -> None:
    """Whoever closes it may do the thing itself, too. Raises RightMissing."""
    acting().require(NEEDS[asked.action], asked.action)


def _do(context: Context, asked: Asked) -> str:
    if asked.action == REVOKE_MANY:
        cards = [UUID(card) for card in asked.detail["cards"]]
        count = many.revoke(context, cards, asked.detail["reason"], actor=actor())
        return f"{count} cards are revoked."
    detail = asked.detail
    wish = Wish(TransactionId(UUID(detail["sale"])), detail["line"], detail["amount_minor"])
    done = give(context, Refund(wish, TransactionId(UUID(detail["refund"]))), actor=asked.asked_by)
    if not done.repeated:
        with context.database.begin() as connection:
            record(connection, actor(), "refund.agree", detail["refund"], context.now())
    return f"Gave back {money(done.amount_minor, context.scheme.currency)}."
