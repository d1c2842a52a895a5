"""Quarantine: what terminals told and what could not be posted, for people to look at."""

from pathlib import Path
from typing import Any

import click

from cardservice.advices.wire import join
from cardservice.api.fields import to_rfc3339
from cardservice.commands.common import actor, command, json_option, opened, say
from cardservice.errors import AlreadyExists
from cardservice.quarantine import service
from cardservice.quarantine.looking import look, said_in
from cardservice.quarantine.service import Held


@click.group()
def quarantine() -> None:
    """Refused messages whose goods are gone."""


@quarantine.command("list")
@click.option("--terminal", "terminal_id", help="Of this terminal alone.")
@click.option("--all", "everything", is_flag=True, help="What was dismissed, too.")
@json_option
@command
def quarantine_list(terminal_id: str | None, everything: bool, as_json: bool) -> None:
    """List what is held, the oldest first, and what there was no room for."""
    with opened() as context, context.database.reading() as connection:
        found = service.held(connection, terminal_id=terminal_id, everything=everything)
        tallies = [tally for tally in service.tallies(connection) if terminal_id in (None, tally.terminal_id)]
    words = [_line(each) for each in found] or ["Nothing is held."]
    words += [
        f"{tally.terminal_id}: {tally.not_kept} more than there was room for were only counted"
        for tally in tallies
        if tally.not_kept
    ]
    values = {
        "held": [_values(each) for each in found],
        "terminals": [
            {"terminal": tally.terminal_id, "refused": tally.refused, "not_kept": tally.not_kept}
            for tally in tallies
        ],
    }
    say("\n".join(words), values, as_json=as_json)


@quarantine.command("show")
@click.argument("number", type=int)
@json_option
@command
def quarantine_show(number: int, as_json: bool) -> None:
    """Show a held message and what it says; the look is logged."""
    with opened() as context:
        known, entry = look(context, number, actor=actor())
        said = said_in(context, known.terminal_id, entry)
    words = [_line(known), f"  {known.detail}", *(f"  {name}: {value}" for name, value in said.items())]
    say("\n".join(words), {**_values(known), "message": said}, as_json=as_json)


@quarantine.command("export")
@click.argument("number", type=int)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@command
def quarantine_export(number: int, file: Path, as_json: bool) -> None:
    """Write a held message to a new file, which `advices deliver` takes once its cause is put right."""
    with opened() as context:
        _, entry = look(context, number, actor=actor())
    _write_new(file, join([entry]))
    say(f"Wrote {file}.", {"number": number, "file": str(file)}, as_json=as_json)


@quarantine.command("dismiss")
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why nothing more is to be done.")
@json_option
@command
def quarantine_dismiss(number: int, reason: str, as_json: bool) -> None:
    """Close a held message; it stays on record."""
    with opened() as context, context.database.begin() as connection:
        service.dismiss(connection, number, reason, actor=actor(), moment=context.now())
    say(f"{number} is dismissed.", {"number": number, "state": "dismissed"}, as_json=as_json)


def _line(each: Held) -> str:
    closed = f"  {each.state} by {each.closed_by}: {each.closed_because}" if each.closed_by else ""
    about = f"{each.terminal_id}  {each.transaction_id or '-'}  {each.code}"
    return f"{each.number}  {to_rfc3339(each.at)}  {about}{closed}"


def _values(each: Held) -> dict[str, Any]:
    return {
        "number": each.number,
        "at": to_rfc3339(each.at),
        "terminal": each.terminal_id,
        "transaction": None if each.transaction_id is None else str(each.transaction_id),
        "body": each.body.hex(),
        "code": each.code,
        "detail": each.detail,
        "state": each.state,
        "closed_at": None if each.closed_at is None else to_rfc3339(each.closed_at),
        "closed_by": each.closed_by,
        "closed_because": each.closed_because,
    }


def _write_new(file: Path, data: bytes) -> None:
    try:
        with file.open("xb") as out:
            out.write(data)
    except FileExistsError as error:
        raise AlreadyExists("file", str(file)) from error
