"""Closing accounts: of who asks for it, has died, or has not been seen for long."""

from typing import Any
from uuid import UUID

import click

from cardservice.accounts import closing, dormancy
from cardservice.accounts.closing import WAYS, WHY, Standing
from cardservice.audit.service import record
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
from cardservice.staff.closing_refunds import give_back_at_closing

# Of dormant holders that are read at once.
_AT_ONCE = 500


@click.group()
def account() -> None:
    """Closing the account of a cardholder."""


@account.command("show")
@click.argument("cardholder_id")
@json_option
@command
def account_show(cardholder_id: str, as_json: bool) -> None:
    """Show what somebody is to get back, and what stands against closing their account."""
    with opened() as context, context.database.begin() as connection:
        found = closing.standing(connection, identifier(cardholder_id), context.now())
        record(connection, actor(), "account.show", found.cardholder, context.now())
    say("\n".join(_words(context, found)), _values(found), as_json=as_json)


@account.command("close")
@click.argument("cardholder_id")
@click.option("--why", type=click.Choice(WHY), required=True, help="Why it is closed.")
@json_option
@command
def account_close(cardholder_id: str, why: str, as_json: bool) -> None:
    """Stop all cards of somebody for good; what they have is given back after that (account give-back).

    Of who has died the cards are stopped whatever is open, and the record says so from then on.
    """
    with opened() as context:
        found = closing.stop(context, identifier(cardholder_id), why, actor=actor())
        closing.finish(context, found.cardholder, actor=actor())
    say("\n".join(_words(context, found)), _values(found), as_json=as_json)


@account.command("give-back")
@click.argument("cardholder_id")
@click.option(
    "--by", "way", type=click.Choice(WAYS), required=True, help="To where it came from, by bank, in cash."
)
@json_option
@command
def account_give_back(cardholder_id: str, way: str, as_json: bool) -> None:
    """Give back what is left to somebody whose cards are stopped (account close).

    A bank transfer is approved by somebody else (payment approve). Then type the same again: the account is
    closed when nothing is left.
    """
    with opened() as context:
        asked = identifier(cardholder_id), way, acting(), "account give-back"
        given_minor, ended = give_back_at_closing(context, *asked)
        currency = context.scheme.currency
    words = (
        f"{money(given_minor, currency)} by {way}; the account is {'closed' if ended else 'not closed yet'}."
    )
    values = {"cardholder": cardholder_id, "given_minor": given_minor, "by": way, "closed": ended}
    say(words, values, as_json=as_json)


@account.command("dormant")
@json_option
@command
def account_dormant(as_json: bool) -> None:
    """List holders of cards who have not been seen for two years, and have not been told yet."""
    found: list[str] = []
    after = UUID(int=0)
    with opened() as context:
        while True:
            with context.database.reading() as connection:
                some = dormancy.dormant(connection, context.now(), after, _AT_ONCE)
            found += map(str, some)
            if len(some) < _AT_ONCE:
                break
            after = some[-1]
    say("\n".join(found) or "Nobody is dormant.", {"cardholders": found}, as_json=as_json)


@account.command("tell")
@click.argument("cardholder_id")
@json_option
@command
def account_tell(cardholder_id: str, as_json: bool) -> None:
    """Note that a dormant holder was written to: 90 days later their account can be closed."""
    with opened() as context, context.database.begin() as connection:
        dormancy.tell(connection, identifier(cardholder_id), actor=actor(), moment=context.now())
    say(f"{cardholder_id} was told.", {"cardholder": cardholder_id}, as_json=as_json)


def _words(context: Context, found: Standing) -> list[str]:
    ended = "closed" if found.is_ended else "stopped" if found.is_stopped else "open"
    return [
        f"The account is {ended}; {len(found.cards)} cards are in use or may be.",
        f"To give back: {money(found.to_give_back_minor, context.scheme.currency)}",
        *(f"{'First: ' if each.blocks else ''}{each.message}" for each in found.open),
    ]


def _values(found: Standing) -> dict[str, Any]:
    return {
        "cardholder": str(found.cardholder),
        "stopped": found.is_stopped,
        "closed": found.is_ended,
        "to_give_back_minor": found.to_give_back_minor,
        "cards": [str(each) for each in found.cards],
        "open": [{"code": each.code, "message": each.message, "blocks": each.blocks} for each in found.open],
    }
