"""Providers and payers: who takes part, beside cardholders."""

import click

from cardservice.cardholders.service import require_cardholder
from cardservice.commands.common import actor, command, identifier, json_option, opened, say
from cardservice.ids import PayerId, ProviderId
from cardservice.ledger.payers import assign_payer, create_payer
from cardservice.providers.service import add_provider


@click.group()
def provider() -> None:
    """Who gives the goods."""


@provider.command("add")
@click.argument("provider_id")
@click.option("--name", required=True)
@json_option
@command
def provider_add(provider_id: str, name: str, as_json: bool) -> None:
    """Register a provider under an identifier of your choice, such as vale-buses."""
    with opened() as context, context.database.begin() as connection:
        add_provider(connection, ProviderId(provider_id), name, actor=actor(), moment=context.now())
    say(f"Registered {provider_id}.", {"provider": provider_id}, as_json=as_json)


@click.group()
def payer() -> None:
    """Whose money it is."""


@payer.command("add")
@click.option("--kind", type=click.Choice(["person", "family"]), default="family", show_default=True)
@json_option
@command
def payer_add(kind: str, as_json: bool) -> None:
    """Make a payer with empty accounts."""
    with opened() as context, context.database.begin() as connection:
        made = create_payer(
            connection, "family" if kind == "family" else "person", context.scheme.currency, context.now()
        )
    say(f"Payer {made}", {"payer": str(made)}, as_json=as_json)


@payer.command("assign")
@click.argument("cardholder_id")
@click.argument("payer_id")
@json_option
@command
def payer_assign(cardholder_id: str, payer_id: str, as_json: bool) -> None:
    """Let a payer pay for a cardholder from now on."""
    with opened() as context, context.database.begin() as connection:
        holder = require_cardholder(connection, identifier(cardholder_id))
        chosen, moment = PayerId(identifier(payer_id)), context.now()
        assign_payer(connection, holder, chosen, moment, moment)
    say(
        f"{chosen} pays for {holder} from now on.",
        {"cardholder": str(holder), "payer": str(chosen)},
        as_json=as_json,
    )
