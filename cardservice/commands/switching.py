"""Services switched off and on, as a cardholder wants it."""

import click

from cardservice.accounts.limiting import switch
from cardservice.cardholders.guardians import May
from cardservice.cardholders.service import require_cardholder
from cardservice.commands.asking import asked_by_option, asked_of, check_asker
from cardservice.commands.common import actor, command, identifier, json_option, opened, say


@click.group()
def service() -> None:
    """Which services a cardholder can use."""


@service.command("off")
@click.argument("cardholder_id")
@click.argument("service_name", metavar="SERVICE")
@asked_by_option
@json_option
@command
def service_off(cardholder_id: str, service_name: str, asked_by: str | None, as_json: bool) -> None:
    """Switch a service off for a cardholder, from now on and with each of their cards."""
    _switch(cardholder_id, service_name, asked_by, on=False, as_json=as_json)


@service.command("on")
@click.argument("cardholder_id")
@click.argument("service_name", metavar="SERVICE")
@asked_by_option
@json_option
@command
def service_on(cardholder_id: str, service_name: str, asked_by: str | None, as_json: bool) -> None:
    """Switch a service on again."""
    _switch(cardholder_id, service_name, asked_by, on=True, as_json=as_json)


def _switch(cardholder_id: str, service_name: str, asked_by: str | None, *, on: bool, as_json: bool) -> None:
    word = "on" if on else "off"
    with opened() as context, asked_of(context, identifier(cardholder_id)) as connection:
        holder = require_cardholder(connection, identifier(cardholder_id))
        check_asker(context, connection, holder, asked_by, May.LIMITS)
        moment, services = context.now(), context.services
        switch(connection, services, holder, service_name, on=on, actor=actor(), moment=moment)
    values = {"cardholder": str(holder), "service": service_name, "on": on}
    say(f"{holder}: {service_name} is {word} from now on.", values, as_json=as_json)
