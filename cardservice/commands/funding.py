"""Programmes that pay for others: whom checks have found entitled, and what was paid."""

import csv
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from cardservice.commands.common import actor, command, json_option, money, opened, say
from cardservice.commands.statements import harmless
from cardservice.funding.counting import Count, Named, counts_between, due_by, names_between
from cardservice.funding.importing import funded, import_checks
from cardservice.money import format_minor

_DAY = click.DateTime(["%Y-%m-%d"])
_SUPPRESSED = "suppressed"


@click.group()
def funding() -> None:
    """Programmes that pay towards what somebody buys, such as free school meals."""


@funding.command("import")
@click.argument("service_name", metavar="SERVICE")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what it would come to, and record nothing.")
@json_option
@command
def funding_import(service_name: str, file: Path, dry_run: bool, as_json: bool) -> None:
    """Record what checks have found, from a CSV file; all of its lines or none.

    \b
      cardservice funding import meals checks.csv --dry-run
      cardservice funding import meals checks.csv
    """
    with opened() as context:
        service = funded(context, service_name)
        done = import_checks(context, service, file, actor=actor(), dry_run=dry_run)
    would = "would be new" if dry_run else "new"
    words = f"{len(done.new)} {would}, {done.unchanged} as on record."
    values = {"new": len(done.new), "unchanged": done.unchanged, "dry_run": dry_run}
    say(words, values, as_json=as_json)


@funding.command("due")
@click.argument("service_name", metavar="SERVICE")
@click.argument("day", type=_DAY)
@json_option
@command
def funding_due(service_name: str, day: datetime, as_json: bool) -> None:
    """List whose entitlement ends by DAY without a new check; needs the right to see names.

    \b
      cardservice funding due meals 2027-01-31
    """
    with opened() as context:
        due = due_by(context, funded(context, service_name), day.date(), actor=actor())
    values = [
        {
            "cardholder": str(each.cardholder),
            "name": each.name,
            "programme": each.programme,
            "review_on": each.review_on.isoformat(),
        }
        for each in due
    ]
    lines = [f"{each.review_on}  {each.programme}  {each.cardholder}  {each.name}" for each in due]
    say("\n".join(lines) or "None is due.", {"due": values}, as_json=as_json)


@funding.command("counts")
@click.argument("service_name", metavar="SERVICE")
@click.argument("first", type=_DAY)
@click.argument("last", type=_DAY)
@json_option
@command
def funding_counts(service_name: str, first: datetime, last: datetime, as_json: bool) -> None:
    """Say what each programme has paid from FIRST to LAST, without names; small numbers are suppressed.

    \b
      cardservice funding counts meals 2026-10-01 2026-10-01
    """
    with opened() as context:
        currency, service = context.scheme.currency, funded(context, service_name)
        with context.database.reading() as connection:
            counts = counts_between(context, connection, service, first.date(), last.date())
    values = [_values(count) for count in counts]
    say(
        "\n".join(_words(count, currency) for count in counts),
        {"counts": values, "currency": currency},
        as_json=as_json,
    )


def _values(count: Count) -> dict[str, object]:
    return {
        "programme": count.programme,
        "funder": count.funder,
        "nation": count.nation,
        "served": count.served,
        "pupils": count.pupils,
        "amount_minor": count.amount_minor,
        "suppressed": count.pupils is None,
    }


def _words(count: Count, currency: str) -> str:
    name = f"{count.programme} ({count.funder}, {count.nation})" if count.funder else count.programme
    if count.amount_minor is None:
        return f"{name}: {_SUPPRESSED}"
    paid = money(count.amount_minor, currency)
    return f"{name}: served {count.served}, pupils {count.pupils}, paid {paid}"


@funding.command("names")
@click.argument("service_name", metavar="SERVICE")
@click.argument("programme")
@click.argument("first", type=_DAY)
@click.argument("last", type=_DAY)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@command
def funding_names(
    service_name: str, programme: str, first: datetime, last: datetime, file: Path, as_json: bool
) -> None:
    """Write who had a meal that PROGRAMME paid towards to FILE, which only you can read.

    It needs the right to see names, and that you asked is written to the audit log.

    \b
      cardservice funding names meals targeted 2026-10-01 2026-10-31 list.csv
    """
    with opened() as context:
        currency, service = context.scheme.currency, funded(context, service_name)
        days = first.date(), last.date()
        named = names_between(context, service, programme, *days, actor=actor())
    _write(file, named, currency)
    say(f"{len(named)} lines in {file}.", {"lines": len(named), "file": str(file)}, as_json=as_json)


def _write(file: Path, named: Sequence[Named], currency: str) -> None:
    """A new file of one's own: what stands under the name already may be open to others."""
    opening = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opening, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("cardholder", "name", "day", "paid", "currency"))
        for each in named:
            paid = format_minor(each.amount_minor, currency)
            writer.writerow((each.cardholder, harmless(each.name), each.day.isoformat(), paid, currency))
