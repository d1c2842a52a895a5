"""What a cardholder's record says: found, seen, noted; and who has seen it."""

from collections.abc import Callable
from datetime import date
from typing import Any

import click
from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.cardholders.accesses import accesses
from cardservice.cardholders.consenting import consent
from cardservice.cardholders.details import (
    CONSENTS,
    FLAGS,
    PREFERENCES,
    Address,
    Contact,
    Noting,
    set_address,
    set_born_on,
    set_contact,
    set_flag,
    set_preferences,
)
from cardservice.cardholders.finding import find
from cardservice.cardholders.service import require_cardholder
from cardservice.cardholders.tokens import Wanted
from cardservice.commands.common import actor, command, identifier, json_option, opened, say
from cardservice.commands.holders import cardholder
from cardservice.context import Context
from cardservice.errors import OrderInvalid

__all__ = ["cardholder"]


@cardholder.command("find")
@click.argument("name", required=False)
@click.option("--sounds-like", is_flag=True, help="By the sound of the name: Kathryn finds Catherine.")
@click.option("--born-on", help="A date of birth, such as 2009-04-30.")
@click.option("--postcode", help="A postcode, or its first half.")
@json_option
@command
def cardholder_find(
    name: str | None, sounds_like: bool, born_on: str | None, postcode: str | None, as_json: bool
) -> None:
    """Find cardholders by how the words of their names begin, and by what else is given.

    \b
    For example:
      cardservice cardholder find "mor ree"
      cardservice cardholder find Kathryn --sounds-like --postcode AB1
    Each of those who are found is noted as seen. Who has the whole name comes first; where more fit than are
    shown, it says so.
    """
    day = None if born_on is None else _day(born_on)
    wanted = Wanted(name, sounds_like, None if day is None else day.isoformat(), postcode)
    with opened() as context, context.database.begin() as connection:
        found = find(connection, context.keys.cardholder_kek, wanted, actor=actor(), moment=context.now())
    values = [
        {"cardholder": str(each.id), "name": each.name, "born_on": each.born_on, "postcode": each.postcode}
        for each in found.people
    ]
    lines = [
        f"{each.id}  {each.name}, born {each.born_on or '?'}, {each.postcode or '?'}" for each in found.people
    ]
    if found.hint is not None:
        lines.append(found.hint)
    told = {"cardholders": values, "more": found.more, "hint": found.hint}
    say("\n".join(lines) or "There is nobody like that.", told, as_json=as_json)


@cardholder.command("accesses")
@click.argument("cardholder_id")
@json_option
@command
def cardholder_accesses(cardholder_id: str, as_json: bool) -> None:
    """Who has seen or changed somebody's record, and done something with their cards; for that person."""
    with opened() as context, context.database.begin() as connection:
        holder = require_cardholder(connection, identifier(cardholder_id))
        found = accesses(connection, holder)
        record(connection, actor(), "cardholder.accesses", holder, context.now())
    values = [
        {
            "at": each.at.isoformat(),
            "actor": each.actor,
            "action": each.action,
            "changed": each.changed,
            "read": each.is_read,
        }
        for each in found
    ]
    lines = [
        f"{one['at']}  {one['actor']}  {one['action']}" + (f"  {one['changed']}" if one["changed"] else "")
        for one in values
    ]
    say("\n".join(lines), {"cardholder": str(holder), "accesses": values}, as_json=as_json)


@cardholder.command("born")
@click.argument("cardholder_id")
@click.argument("day", required=False)
@click.option("--unknown", is_flag=True, help="Note nothing any more.")
@json_option
@command
def cardholder_born(cardholder_id: str, day: str | None, unknown: bool, as_json: bool) -> None:
    """Note when somebody was born: cardholder born ID 2009-04-30."""
    if (day is None) is not unknown:
        raise click.UsageError("name the day, or say --unknown")
    _say_noted(cardholder_id, set_born_on, None if day is None else _day(day), as_json=as_json)


@cardholder.command("address")
@click.argument("cardholder_id")
@click.option("--uprn", help="The unique property reference number.")
@click.option("--saon", help="The flat.")
@click.option("--paon", help="The house's number or name.")
@click.option("--street")
@click.option("--locality")
@click.option("--town")
@click.option("--area", "administrative_area", help="The administrative area.")
@click.option("--postcode")
@click.option("--none", "no_address", is_flag=True, help="Note nothing any more.")
@json_option
@command
def cardholder_address(cardholder_id: str, no_address: bool, as_json: bool, **parts: str | None) -> None:
    """Note where somebody lives, in place of an earlier address."""
    given = any(part is not None for part in parts.values())
    if given is no_address:
        raise click.UsageError("give the parts of the address, or say --none")
    _say_noted(cardholder_id, set_address, Address(**parts) if given else None, as_json=as_json)


@cardholder.command("contact")
@click.argument("cardholder_id")
@click.option("--email")
@click.option("--telephone")
@click.option("--none", "no_contact", is_flag=True, help="Note nothing any more.")
@json_option
@command
def cardholder_contact(
    cardholder_id: str, email: str | None, telephone: str | None, no_contact: bool, as_json: bool
) -> None:
    """Note how somebody is reached, in place of what was noted before."""
    given = email is not None or telephone is not None
    if given is no_contact:
        raise click.UsageError("give --email or --telephone, or say --none")
    contact = Contact(email, telephone) if given else None
    _say_noted(cardholder_id, set_contact, contact, as_json=as_json)


@cardholder.command("prefer")
@click.argument("cardholder_id")
@click.argument("preferences", nargs=-1, type=click.Choice(list(PREFERENCES)))
@click.option("--language", help="Such as en, cy or pl.")
@json_option
@command
def cardholder_prefer(
    cardholder_id: str, preferences: tuple[str, ...], language: str | None, as_json: bool
) -> None:
    """Note how somebody likes to be served, in place of what was noted; nothing named: nothing noted."""
    _say_noted(cardholder_id, set_preferences, frozenset(preferences), language, as_json=as_json)


@cardholder.command("flag")
@click.argument("cardholder_id")
@click.argument("flag", type=click.Choice(list(FLAGS)))
@click.option("--off", is_flag=True, help="Take it away.")
@json_option
@command
def cardholder_flag(cardholder_id: str, flag: str, off: bool, as_json: bool) -> None:
    """Put a flag on a record: protected_address, court_order, deceased."""
    _say_noted(cardholder_id, set_flag, flag, as_json=as_json, on=not off)


@cardholder.command("consent")
@click.argument("cardholder_id")
@click.argument("purpose", type=click.Choice(list(CONSENTS)))
@click.option("--wording", help="Which version of the wording was agreed to, such as 2026-1.")
@click.option("--withdrawn", is_flag=True, help="This person no longer agrees.")
@json_option
@command
def cardholder_consent(
    cardholder_id: str, purpose: str, wording: str | None, withdrawn: bool, as_json: bool
) -> None:
    """Note that somebody agrees to something, from now on: cardholder consent ID notices --wording 2026-1."""
    _say_noted(cardholder_id, consent, purpose, wording, as_json=as_json, given=not withdrawn)


def _say_noted(
    cardholder_id: str, change: Callable[..., None], *values: Any, as_json: bool, **more: bool
) -> None:
    with opened() as context, context.database.begin() as connection:
        noting = noting_of(context, connection, cardholder_id)
        change(connection, noting, *values, **more)
    say(f"Noted of {noting.holder}.", {"cardholder": str(noting.holder)}, as_json=as_json)


def noting_of(context: Context, connection: Connection, cardholder_id: str) -> Noting:
    """Who is at the keyboard, and of whom they note something. Raises CardholderUnknown and OrderInvalid."""
    holder = require_cardholder(connection, identifier(cardholder_id))
    return Noting(context.keys.cardholder_kek, holder, actor(), context.now(), context.zone)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise OrderInvalid(f"{text[:20]!r} is no date; write it like 2009-04-30") from None
