"""Limits: what a cardholder may use, as whoever pays wants it."""

import click

from cardservice.audit.service import record
from cardservice.cardholders.guardians import May
from cardservice.cardholders.service import require_cardholder
from cardservice.commands.asking import asked_by_option, asked_of, check_asker
from cardservice.commands.common import actor, command, identifier, json_option, money, opened, say
from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId, PayerId
from cardservice.ledger.limits import NewLimit, set_limit
from cardservice.ledger.payers import payer_at
from cardservice.money import parse_minor
from cardservice.services.limits import LIFTED, day_rule
from cardservice.services.seam import Counted


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
        counted = _is_counted(context, _known(context, rule))
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
        holder, payer = _set(context, cardholder_id, rule, LIFTED, asked_by, shared=shared)
    values = {"cardholder": str(holder), "payer": str(payer), "rule": rule, "shared": shared}
    whose = f"All of payer {payer}" if shared else f"{holder}"
    say(f"{whose}: {rule} without a limit from now on.", values, as_json=as_json)


@limit.command("rules")
@json_option
@command
def limit_rules(as_json: bool) -> None:
    """List what can be limited."""
    with opened() as context:
        rules = _rules(context)
    words = "\n".join(f"{rule}: {what}" for rule, what in rules.items())
    say(words or "Nothing can be limited.", {"rules": rules}, as_json=as_json)


def _set(
    context: Context, cardholder_id: str, rule: str, amount_minor: int, asked_by: str | None, *, shared: bool
) -> tuple[CardholderId, PayerId]:
    _known(context, rule)
    moment, did = context.now(), "limit.lift" if amount_minor == LIFTED else "limit.set"
    with asked_of(context, identifier(cardholder_id)) as connection:
        holder = require_cardholder(connection, identifier(cardholder_id))
        check_asker(context, connection, holder, asked_by, May.LIMITS)
        payer = payer_at(connection, holder, moment)
        if payer is None:
            raise OrderInvalid(f"nobody pays for {holder}; assign a payer first")
        set_limit(connection, NewLimit(payer, None if shared else holder, rule, amount_minor), moment, moment)
        record(connection, actor(), did, holder, moment, rule=rule, shared=shared)
    return holder, payer


def _rules(context: Context) -> dict[str, str]:
    """The services' own, and for each that has none of its own what is spent with it in a day."""
    found: dict[str, str] = {}
    for name, service in sorted(context.services.items()):
        found |= service.limits
        found.setdefault(day_rule(name), f"what is spent on {name} in a day")
    return found


def _known(context: Context, rule: str) -> str:
    """The rule as it is listed. Raises OrderInvalid."""
    for listed in _rules(context):
        prefix = listed.removesuffix("*")
        if rule == listed or (prefix != listed and len(rule) > len(prefix) and rule.startswith(prefix)):
            return listed
    raise OrderInvalid(f"{rule!r} cannot be limited; there are {', '.join(_rules(context))}")


def _is_counted(context: Context, listed: str) -> bool:
    services = (service for service in context.services.values() if isinstance(service, Counted))
    return any(listed in service.counted_limits for service in services)


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
