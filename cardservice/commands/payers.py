"""Payers: whose money it is, for whom, since when; and what moves between them."""

from datetime import datetime
from typing import Literal

import click

from cardservice.cardholders.families import add_payer, change_payer, show_payer, show_payers
from cardservice.cardholders.service import require_cardholder
from cardservice.commands.asking import asked_by_option, asked_here, asked_of
from cardservice.commands.common import (
    actor,
    command,
    identifier,
    json_option,
    minor_units,
    money,
    opened,
    say,
)
from cardservice.commands.statements import payer_statement
from cardservice.ids import PayerId, TransactionId, new_id
from cardservice.ledger.payers import Assignment
from cardservice.payments.moving import CarryOver, Goodwill, carry_over, give_goodwill

id_option = click.option("--id", "own_id", help="The movement's own id: given again, it is made once.")


@click.group()
def payer() -> None:
    """Whose money it is."""


payer.add_command(payer_statement)


@payer.command("add")
@click.option(
    "--kind",
    type=click.Choice(["person", "family"]),
    default="family",
    show_default=True,
    help="Whose money it is.",
)
@json_option
@command
def payer_add(kind: str, as_json: bool) -> None:
    """Make a payer with empty accounts."""
    with opened() as context, context.database.begin() as connection:
        currency, who = context.scheme.currency, actor()
        named: Literal["person", "family"] = "family" if kind == "family" else "person"
        made = add_payer(connection, named, currency, actor=who, moment=context.now())
    say(f"Payer {made}", {"payer": str(made)}, as_json=as_json)


@payer.command("assign")
@click.argument("cardholder_id")
@click.argument("payer_id")
@click.option(
    "--from",
    "begins",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]),
    help="From then on, such as 2026-09-01T00:00+01:00; without it, from now on.",
)
@asked_by_option
@json_option
@command
def payer_assign(
    cardholder_id: str, payer_id: str, begins: datetime | None, asked_by: str | None, as_json: bool
) -> None:
    """Let a payer pay for a cardholder, from now on or from a later moment; never from an earlier one."""
    with opened() as context, asked_of(context, identifier(cardholder_id)) as connection:
        holder = require_cardholder(connection, identifier(cardholder_id))
        chosen, asker = PayerId(identifier(payer_id)), None if asked_by is None else identifier(asked_by)
        asked = asked_here(context)
        since = change_payer(connection, asked, holder, chosen, since=begins, asked_by=asker)
    when = "now" if begins is None else since.isoformat()
    say(
        f"{chosen} pays for {holder} from {when} on.",
        {"cardholder": str(holder), "payer": str(chosen), "from": since.isoformat()},
        as_json=as_json,
    )


@payer.command("show")
@click.argument("payer_id")
@json_option
@command
def payer_show(payer_id: str, as_json: bool) -> None:
    """Show a payer's accounts, and for whom it pays."""
    wanted = PayerId(identifier(payer_id))
    with opened() as context, context.database.begin() as connection:
        view, whom = show_payer(connection, wanted, actor=actor(), moment=context.now())
    words = [
        *(f"{each.name.removeprefix('payer:')}: {money(each.balance, each.unit)}" for each in view.accounts),
        *(
            f"pays for {each.cardholder_id} since {each.valid_from.isoformat()}{_until(each)}"
            for each in whom
        ),
    ]
    values = {
        "payer": str(wanted),
        "accounts": [
            {"account": each.name, "unit": each.unit, "amount_minor": each.balance} for each in view.accounts
        ],
        "cardholders": [_values(each) for each in whom],
    }
    say("\n".join(words), values, as_json=as_json)


@payer.command("history")
@click.argument("cardholder_id")
@json_option
@command
def payer_history(cardholder_id: str, as_json: bool) -> None:
    """Show who has paid for a cardholder, pays now, and will."""
    with opened() as context, context.database.begin() as connection:
        holder = require_cardholder(connection, identifier(cardholder_id))
        found = show_payers(connection, holder, actor=actor(), moment=context.now())
    words = [f"{each.payer_id} since {each.valid_from.isoformat()}{_until(each)}" for each in found]
    say("\n".join(words), {"payers": [_values(each) for each in found]}, as_json=as_json)


@payer.command("carry-over")
@click.argument("source_id")
@click.argument("target_id")
@click.argument("amount", required=False)
@id_option
@json_option
@command
def payer_carry_over(
    source_id: str, target_id: str, amount: str | None, own_id: str | None, as_json: bool
) -> None:
    """Move money from one payer to another: an amount such as 20.00, or all that can be spent."""
    with opened() as context:
        currency = context.scheme.currency
        amount_minor = None if amount is None else minor_units(amount, currency)
        source, target = PayerId(identifier(source_id)), PayerId(identifier(target_id))
        wanted = CarryOver(source, target, amount_minor, _own(own_id))
        moved_minor = carry_over(context, wanted, actor=actor())
    values = {
        "from": str(source),
        "to": str(target),
        "amount_minor": moved_minor,
        "currency": currency,
        "transaction": str(wanted.id),
    }
    say(f"Moved {money(moved_minor, currency)} to {target}.", values, as_json=as_json)


@payer.command("goodwill")
@click.argument("payer_id")
@click.argument("amount")
@id_option
@json_option
@command
def payer_goodwill(payer_id: str, amount: str, own_id: str | None, as_json: bool) -> None:
    """Give a payer something for nothing; it is no refund, and settles arrears first."""
    with opened() as context:
        currency = context.scheme.currency
        wanted = Goodwill(PayerId(identifier(payer_id)), minor_units(amount, currency), _own(own_id))
        give_goodwill(context, wanted, actor=actor())
    values = {
        "payer": str(wanted.payer_id),
        "amount_minor": wanted.amount_minor,
        "currency": currency,
        "transaction": str(wanted.id),
    }
    say(f"Gave {money(wanted.amount_minor, currency)}.", values, as_json=as_json)


def _own(own_id: str | None) -> TransactionId:
    return TransactionId(new_id() if own_id is None else identifier(own_id))


def _until(each: Assignment) -> str:
    return "" if each.valid_until is None else f" until {each.valid_until.isoformat()}"


def _values(each: Assignment) -> dict[str, str | None]:
    return {
        "cardholder": str(each.cardholder_id),
        "payer": str(each.payer_id),
        "from": each.valid_from.isoformat(),
        "until": None if each.valid_until is None else each.valid_until.isoformat(),
    }
