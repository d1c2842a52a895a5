"""Cards that were left at home or lost: lent for a day, taken back, told lost from afar."""

from datetime import datetime

import click

from cardservice.cards import personalisation, temporary
from cardservice.cards.losses import CHANNELS, Question, tell_lost
from cardservice.cards.service import AUTHORITY
from cardservice.commands.common import actor, command, identifier, json_option, opened, say
from cardservice.commands.entitling import card

__all__ = ["card"]


@card.command("lend")
@click.argument("card_id")
@click.option(
    "--until",
    "due_at",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]),
    required=True,
    help="Such as 2026-09-01T17:00+01:00; four days at most.",
)
@json_option
@command
def card_lend(card_id: str, due_at: datetime, as_json: bool) -> None:
    """Order the card that is lent until a time to who has left CARD_ID at home; a desk makes it.

    What the holder has is on it. The card at home rests from when the other is made until that is over.
    """
    with opened() as context, context.database.begin() as connection:
        order = personalisation.lend_card(
            connection, identifier(card_id), due_at, actor=actor(), moment=context.now()
        )
    values = {"order": str(order.id), "card": str(order.card_id), "until": due_at.isoformat()}
    say(f"Order {order.id} for card {order.card_id}, until {due_at.isoformat()}", values, as_json=as_json)


@card.command("take-back")
@click.argument("card_id")
@json_option
@command
def card_take_back(card_id: str, as_json: bool) -> None:
    """Take a lent card back: it is revoked, and the card that was left at home goes on."""
    with opened() as context, context.database.begin() as connection:
        authority = context.authority(AUTHORITY, connection)
        lent = temporary.take_back(
            connection, authority, identifier(card_id), actor=actor(), moment=context.now()
        )
    values = {"card": card_id, "state": "revoked", "acts_for": str(lent.acts_for)}
    say(f"Card {card_id} is back.", values, as_json=as_json)


@card.command("lent")
@json_option
@command
def card_lent(as_json: bool) -> None:
    """List the cards that are lent, the most urgent first."""
    with opened() as context, context.database.reading() as connection:
        found = temporary.lent_now(connection)
    values = [
        {"card": str(each.card), "acts_for": str(each.acts_for), "until": each.due_at.isoformat()}
        for each in found
    ]
    lines = [f"{one['card']}  for {one['acts_for']}  until {one['until']}" for one in values]
    say("\n".join(lines) or "Nothing is lent.", {"lent": values}, as_json=as_json)


@card.command("told-lost")
@click.argument("card_id")
@click.option(
    "--by",
    "channel",
    type=click.Choice(CHANNELS),
    default="phone",
    show_default=True,
    help="How it was told.",
)
@json_option
@command
def card_told_lost(card_id: str, channel: str, as_json: bool) -> None:
    """Take a report that a card is lost from somebody whom nobody sees, and ask what they know.

    \b
    Leave empty what they do not say. Two right answers and no wrong one: the card is revoked. Otherwise it is
    suspended, and goes on at a desk (card release). Tell the caller that it is stopped, and nothing else.
    """
    asked = {
        Question.BORN_ON: "Date of birth, like 2009-04-30",
        Question.POSTCODE: "Postcode",
        Question.NUMBER: "Last four characters of the number on the card",
    }
    answers = {
        question: said
        for question, words in asked.items()
        if (said := click.prompt(words, default="", show_default=False, err=True).strip())
    }
    with opened() as context:
        told = tell_lost(context, identifier(card_id), channel, answers, actor=actor())
    values = {"card": card_id, "verified": told.verified, "state": told.state.value}
    words = f"Card {card_id} is {told.state}; whoever told it is {'' if told.verified else 'not '}verified."
    say(words, {**values, "attempts_left": told.attempts_left}, as_json=as_json)
