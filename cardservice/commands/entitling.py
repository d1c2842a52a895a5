"""Cards: what they may say of their holders, and young citizens who become citizens."""

import base64
from collections.abc import Iterator
from uuid import UUID

import click

from cardservice.applications.reviewing import grow_up, is_of_age, young_cards
from cardservice.applications.stating import state_entitlements
from cardservice.cards.personalisation import Delivery
from cardservice.commands.applying import deciding
from cardservice.commands.cards import card
from cardservice.commands.common import actor, command, identifier, json_option, opened, say
from cardservice.context import Context

__all__ = ["card"]

# Of young citizens' cards that are looked at in one transaction.
_AT_ONCE = 200


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
        found = list(_grown(context, delivery, dry_run=dry_run))
    grown = [one for one in found if one["is_of_age"]]
    unknown = [one["cardholder"] for one in found if one["is_of_age"] is None]
    lines = [f"{one['cardholder']}: {one['card'] or 'is of age'}" for one in grown]
    lines += [f"{holder}: nobody knows when they were born" for holder in unknown]
    values = {
        "grown": [{key: one[key] for key in ("cardholder", "young", "card")} for one in grown],
        "unknown": unknown,
        "dry_run": dry_run,
    }
    say("\n".join(lines) or "Nobody is of age.", values, as_json=as_json)


def _grown(context: Context, delivery: Delivery, *, dry_run: bool) -> Iterator[dict[str, str | bool | None]]:
    """Whoever is of age, or may be."""
    by, after = deciding(context), UUID(int=0)
    while True:
        told: list[dict[str, str | bool | None]] = []
        with context.database.begin() as connection:
            cards = young_cards(connection, after, _AT_ONCE)
            for young, holder in cards:
                of_age = is_of_age(connection, by, holder)
                made = grow_up(connection, by, young, holder, delivery) if of_age and not dry_run else None
                new = None if made is None else str(made)
                told.append(
                    {"cardholder": str(holder), "young": str(young), "card": new, "is_of_age": of_age}
                )
        yield from (one for one in told if one["is_of_age"] is not False)
        if not cards:
            return
        after = cards[-1][0]
