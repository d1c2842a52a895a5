"""Providers: who gives the goods."""

import click

from cardservice.commands.common import actor, command, json_option, opened, say
from cardservice.ids import ProviderId
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
