"""Claiming what authorities owe for journeys that were free."""

from datetime import datetime
from pathlib import Path

import click

from cardservice.audit.service import record
from cardservice.commands.common import actor, command, json_option, money, opened, say
from cardservice.rating.claims import claim_file, claims_between

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def concession() -> None:
    """Journeys that are free by a concession."""


@concession.command("claim")
@click.argument("service_name", metavar="SERVICE")
@click.argument("first", type=_DAY)
@click.argument("last", type=_DAY)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@command
def concession_claim(service_name: str, first: datetime, last: datetime, file: Path, as_json: bool) -> None:
    """Write what each authority owes each provider, from FIRST to LAST, to FILE.

    It is counted from the taps, and must be claimed before their details are erased. That you asked is
    written to the audit log.
    """
    days = first.date(), last.date()
    if days[1] < days[0]:
        raise click.BadParameter("is before the first day", param_hint="LAST")
    with opened() as context:
        currency, words = context.scheme.currency, f"{days[0]} to {days[1]}"
        with context.database.begin() as connection:
            record(connection, actor(), "concession.claim", service_name, context.now(), days=words)
        with context.database.reading() as connection:
            claims = claims_between(context, connection, service_name, *days)
    file.write_text(claim_file(claims, *days, currency), encoding="utf-8", newline="")
    values = [
        {
            "authority": each.authority,
            "provider": each.provider,
            "tariff_version": each.tariff_version,
            "journeys": each.journeys,
            "amount_minor": each.amount_minor,
        }
        for each in claims
    ]
    lines = [
        f"{each.authority} to {each.provider}: journeys {each.journeys}, "
        + ("no price in the map" if each.amount_minor is None else money(each.amount_minor, currency))
        for each in claims
    ]
    say("\n".join(lines) or "Nothing to claim.", {"claims": values}, as_json=as_json)
