"""Providers: who gives the goods."""

import re
from typing import Any

import click

from cardservice.commands import provider_records
from cardservice.commands.common import acting, actor, command, json_option, opened, say
from cardservice.commands.provider_sales import sales
from cardservice.commands.provider_statements import statement
from cardservice.errors import OrderInvalid
from cardservice.ids import ProviderId
from cardservice.providers.card_keys import grant_key, granted_keys, withdraw_key
from cardservice.providers.selling import begin_selling, end_selling
from cardservice.providers.service import add_provider, require_provider
from cardservice.staff.roles import Right
from pki.card_keys import Application, TerminalMaster, TerminalRole

_APPLICATION = re.compile("[0-9A-Fa-f]{6}")
_ROLES = {role.name.lower(): role for role in TerminalRole}


@click.group()
def provider() -> None:
    """Who gives the goods."""


for each in provider_records.COMMANDS:
    provider.add_command(each)
provider.add_command(statement)
provider.add_command(sales)


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


@provider.command("card-key")
@click.argument("provider_id")
@click.argument("application")
@click.option("--key", type=click.Choice(list(_ROLES)), required=True, help="read: key 1, debit: key 2.")
@click.option("--version", type=click.IntRange(0, 255), default=0, show_default=True, help="Of the key.")
@click.option("--no-longer", is_flag=True, help="Its terminals are given this no longer, from now on.")
@json_option
@command
def provider_card_key(
    provider_id: str, application: str, key: str, version: int, no_longer: bool, as_json: bool
) -> None:
    """Let a provider's terminals have a key of an application of the card, such as F5C011.

    Of keys 1 and 2 alone: those of administration and credit never leave the service.
    """
    master = TerminalMaster(_application(application), _ROLES[key], version)
    with opened() as context, context.database.begin() as connection:
        named: dict[str, Any] = {"actor": actor(), "moment": context.now()}
        if no_longer:
            withdraw_key(connection, ProviderId(provider_id), master, **named)
        else:
            masters = context.keys.terminal_masters
            grant_key(connection, masters, ProviderId(provider_id), master, **named)
    may = "may no longer have" if no_longer else "may have"
    told = {"provider": provider_id, **_told(master), "granted": not no_longer}
    say(f"Terminals of {provider_id} {may} {_said(master)}.", told, as_json=as_json)


@provider.command("card-keys")
@click.argument("provider_id")
@json_option
@command
def provider_card_keys(provider_id: str, as_json: bool) -> None:
    """Show which keys a provider's terminals may have."""
    with opened() as context, context.database.reading() as connection:
        acting().require_provider(Right.SEE_PROVIDERS, provider_id)
        require_provider(connection, ProviderId(provider_id))
        found = list(granted_keys(connection, ProviderId(provider_id), context.now()))
    say("\n".join(map(_said, found)) or "None.", {"keys": [_told(each) for each in found]}, as_json=as_json)


def _application(text: str) -> Application:
    if not _APPLICATION.fullmatch(text):
        raise OrderInvalid(f"{text!r} is no application's number: six hexadecimal digits, such as F5C011")
    return Application(int(text, 16))


def _said(master: TerminalMaster) -> str:
    role = f"key {master.role.value} ({master.role.name.lower()})"
    return f"{role} of application {master.application.number:06X}, version {master.version}"


def _told(master: TerminalMaster) -> dict[str, Any]:
    return {
        "application": f"{master.application.number:06X}",
        "key": master.role.value,
        "version": master.version,
    }
