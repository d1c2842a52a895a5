"""Limits: what a cardholder may use, as whoever pays wants it."""

from typing import Any

import click

from cardservice.accounts.limiting import is_counted, limit_holder, listed_rule
from cardservice.accounts.limiting import limit_rules as rules_of
from cardservice.cardholders.guardians import May
from cardservice.cardholders.service import require_cardholder
from cardservice.commands.asking import asked_by_option, asked_of, check_asker
from cardservice.commands.common import actor, command, identifier, json_option, money, opened, say
from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId, PayerId
from cardservice.money import parse_minor


@click.group()
def limit() -> None:
    """What a cardholder may use."""


@limit.command("set")
@click.argument("cardholder_id")
@click.argument("rule")
@click.argument("amount")
@click.option(
    "--shared", is_flag=True, help="For all whom the cardholder's payer pays for, together, not for one."
)
@asked_by_option
@json_option
@command
def limit_set(
    cardholder_id: str, rule: str, amount: str, shared: bool, asked_by: str | None, as_json: bool
) -> None:
    """Set a limit from now on, such as 3.50; 0 allows nothing. `limit rules` lists what can be limited.

    Where the list says `*`, name one: `meals.item.flapjack` is a limit of pieces, such as 1,
    `meals.service.lunch` one of money.
    """
    with opened() as context:
        currency = context.scheme.currency
        counted = is_counted(context.services, listed_rule(context.services, rule))
        amount_minor = _pieces(amount) if counted else _amount(amount, currency)
        holder, payer = _set(context, cardholder_id, rule, amount_minor, asked_by, shared=shared)
    values = {
        "cardholder": str(holder),
        "payer": str(payer),
        "rule": rule,
        "shared": shared,
        "amount_minor": amount_minor,
        "currency": currency,
    }
    whose = f"All of payer {payer}" if shared else f"{holder}"
    most = str(amount_minor) if counted else money(amount_minor, currency)
    say(f"{whose}: {rule} at most {most} from now on.", values, as_json=as_json)


@limit.command("lift")
@click.argument("cardholder_id")
@click.argument("rule")
@click.option("--shared", is_flag=True, help="That of all whom the cardholder's payer pays for.")
@asked_by_option
@json_option
@command
def limit_lift(cardholder_id: str, rule: str, shared: bool, asked_by: str | None, as_json: bool) -> None:
    """Lift a limit from now on; what it was is kept."""
    with opened() as context:
        holder, payer = _set(context, cardholder_id, rule, None, asked_by, shared=shared)
    values = {"cardholder": str(holder), "payer": str(payer), "rule": rule, "shared": shared}
    whose = f"All of payer {payer}" if shared else f"{holder}"
    say(f"{whose}: {rule} without a limit from now on.", values, as_json=as_json)


@limit.command("rules")
@json_option
@command
def limit_rules(as_json: bool) -> None:
    """List what can be limited."""
    with opened() as context:
        rules = rules_of(context.services)
    words = "\n".join(f"{rule}: {what}" for rule, what in rules.items())
    say(words or "Nothing can be limited.", {"rules": rules}, as_json=as_json)


def _set(
    context: Context, cardholder_id: str, rule: str, most: int | None, asked_by: str | None, *, shared: bool
) -> tuple[CardholderId, PayerId]:
    with asked_of(context, identifier(cardholder_id)) as connection:
        holder = require_cardholder(connection, identifier(cardholder_id))
        check_asker(context, connection, holder, asked_by, May.LIMITS)
        how: dict[str, Any] = {"shared": shared, "actor": actor(), "moment": context.now()}
        payer = limit_holder(connection, context.services, holder, rule, most, **how)
    return holder, payer


def _pieces(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise OrderInvalid(f"{text[:40]!r} is no number of pieces like 2; 0 allows none")
    return int(text)


def _amount(text: str, currency: str) -> int:
    try:
        amount_minor = parse_minor(text, currency)
    except ValueError as problem:
        raise OrderInvalid(str(problem)) from problem
    if amount_minor < 0:
        raise OrderInvalid(f"{text!r} is below zero")
    return amount_minor
