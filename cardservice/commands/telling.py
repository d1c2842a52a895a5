"""Advices that staff deliver, and what they came to."""

from pathlib import Path
from typing import Any

import click

from cardservice.advices.delivery import deliver
from cardservice.advices.losses import losses
from cardservice.advices.service import counts
from cardservice.commands.common import Failure, actor, command, json_option, money, opened, say
from cardservice.ids import TerminalId


@click.group()
def advices() -> None:
    """What terminals gave away while they could not ask."""


@advices.command("deliver")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--terminal", "terminal_id", required=True, help="Whose outbox it is.")
@json_option
@command
def advices_deliver(file: Path, terminal_id: str, as_json: bool) -> None:
    """Deliver a terminal's outbox from the file that `reader-agent outbox export` wrote.

    Delivered twice, it is posted once. Exit status 1 if anything is to be delivered again.
    """
    with opened() as context:
        settled = deliver(context, TerminalId(terminal_id), file.read_bytes(), actor=actor())
    found: dict[str, Any] = counts(settled)
    problems = [f"  {count} refused: {code}" for code, count in sorted(found["problems"].items())]
    words = [
        f"{len(settled)} entries: {found['answered']} posted, {found['repeated']} known already",
        *problems,
    ]
    say("\n".join(words), {"terminal": terminal_id, "entries": len(settled), **found}, as_json=as_json)
    if found["again"]:
        raise Failure(f"{found['again']} were not settled; deliver the file again")


@advices.command("losses")
@json_option
@command
def advices_losses(as_json: bool) -> None:
    """Report what was given away in spite of a flag and may not come in, and who bears it."""
    with opened() as context:
        with context.database.reading() as connection:
            found = losses(connection)
        currency = context.scheme.currency
    words = [
        f"{each.provider_id}: borne by the {each.bearer}: {each.advices} advices,"
        f" {money(each.amount_minor, currency)}, of which {money(each.owed_minor, currency)} ended in arrears"
        for each in found
    ]
    values = [
        {
            "provider": each.provider_id,
            "bearer": each.bearer,
            "advices": each.advices,
            "amount_minor": each.amount_minor,
            "owed_minor": each.owed_minor,
        }
        for each in found
    ]
    say("\n".join(words) or "Nothing is at risk.", {"currency": currency, "losses": values}, as_json=as_json)
