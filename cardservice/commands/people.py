"""Providers: who gives the goods."""

import click

from cardservice.commands.common import actor, command, json_option, opened, say
from cardservice.commands.provider_statements import statement
from cardservice.errors import OrderInvalid
from cardservice.ids import ProviderId
from cardservice.providers.selling import begin_selling, end_selling
from cardservice.providers.service import add_provider


@click.group()
def provider() -> None:
    """Who gives the goods."""


provider.add_command(statement)


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


@provider.command("sells")
@click.argument("provider_id")
@click.argument("service")
@click.option("--no-longer", is_flag=True, help="It sells this no longer, from now on.")
@json_option
@command
def provider_sells(provider_id: str, service: str, no_longer: bool, as_json: bool) -> None:
    """Let a provider sell a service from now on: then no other may that is not named for it, too.

    A service of which no provider is named may be sold by every terminal whose role covers it.
    """
    with opened() as context, context.database.begin() as connection:
        if service not in context.services:
            raise OrderInvalid(f"there is no service {service!r}; there are {', '.join(context.services)}")
        change = end_selling if no_longer else begin_selling
        change(connection, ProviderId(provider_id), service, actor=actor(), moment=context.now())
    does = "no longer sells" if no_longer else "sells"
    told = {"provider": provider_id, "service": service, "sells": not no_longer}
    say(f"{provider_id} {does} {service}.", told, as_json=as_json)
