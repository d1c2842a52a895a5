"""Cards: what they may say of their holders, and young citizens who become citizens."""

import base64
from collections.abc import Iterator
from uuid import UUID

import click

from cardservice.applications.reviewing import FIRST, Young, grow_some
from cardservice.applications.stating import state_entitlements
from cardservice.cards.personalisation import Delivery
from cardservice.commands.applying import deciding
from cardservice.commands.cards import card
from cardservice.commands.common import actor, command, identifier, json_option, opened, say
from cardservice.context import Context

__all__ = ["card"]


@card.command("entitlements")
@click.argument("card_id")
@json_option
@command
def card_entitlements(card_id: str, as_json: bool) -> None:
    """Sign what a card may say of its holder today, by the proofs that were seen; for that card alone.

    A statement ends with the proof's day of review. With --json the statements themselves, in base64url.
    """
    with opened() as context, context.database.begin() as connection:
        made = state_entitlements(context, connection, identifier(card_id), actor=actor())
    values = [
        {
            "predicate": each.predicate,
            "expires_at": each.expires_at.isoformat(),
            "statement": base64.urlsafe_b64encode(each.raw).rstrip(b"=").decode(),
        }
        for each in made
    ]
    lines = [f"{each.predicate}, until {each.expires_at.date()}" for each in made]
    words = "\n".join(lines) or "Nothing: no proof counts."
    say(words, {"card": card_id, "entitlements": values}, as_json=as_json)


@card.command("grow-up")
@click.option("--by-post", is_flag=True, help="The new cards are sent, and activated with a code.")
@click.option("--dry-run", is_flag=True, help="Say who, and change nothing.")
@json_option
@command
def card_grow_up(by_post: bool, dry_run: bool, as_json: bool) -> None:
    """Make young citizens who have reached the age citizens: prices go by it, and a new card is ordered.

    Run it nightly. The young card can be used until the new one is; of whoever has no date of birth it says
    so.
    """
    delivery = Delivery.POST if by_post else Delivery.DESK
    with opened() as context:
        found = list(_grown(context, None if dry_run else delivery))
    grown = [each for each in found if each.is_of_age]
    unknown = [str(each.cardholder_id) for each in found if each.is_of_age is None]
    lines = [f"{each.cardholder_id}: {each.ordered or 'is of age'}" for each in grown]
    lines += [f"{holder}: nobody knows when they were born" for holder in unknown]
    values = {
        "grown": [
            {
                "cardholder": str(each.cardholder_id),
                "young": str(each.card_id),
                "card": None if each.ordered is None else str(each.ordered),
            }
            for each in grown
        ],
        "unknown": unknown,
        "dry_run": dry_run,
    }
    say("\n".join(lines) or "Nobody is of age.", values, as_json=as_json)


def _grown(context: Context, delivery: Delivery | None) -> Iterator[Young]:
    by = deciding(context)
    after: UUID | None = FIRST
    while after is not None:
        found, after = grow_some(context, by, after, delivery)
        yield from found
