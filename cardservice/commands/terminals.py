"""What a registered terminal may do, and what it has told."""

from typing import Any

import click

from cardservice.commands.common import actor, command, json_option, opened, say
from cardservice.commands.issuing import terminal
from cardservice.errors import OrderInvalid, TerminalUnknown
from cardservice.ids import TerminalId
from cardservice.terminals.gaps import Sequences, sequences
from cardservice.terminals.roles import known_roles
from cardservice.terminals.service import find_terminal, set_terms

__all__ = ["terminal"]


@terminal.command("set")
@click.argument("terminal_id")
@click.option("--role", help="What it may do; without it, what it may do now.")
@click.option(
    "--offline-limit",
    type=click.IntRange(min=0),
    help="The most for one transaction while it cannot ask, in minor units; without it, as it is now.",
)
@click.option("--no-offline", is_flag=True, help="Give nothing away while it cannot ask.")
@json_option
@command
def terminal_set(
    terminal_id: str, role: str | None, offline_limit: int | None, no_offline: bool, as_json: bool
) -> None:
    """Let a terminal do something else from now on; what it did before is judged by what held then."""
    with opened() as context, context.database.begin() as connection:
        known = find_terminal(connection, terminal_id)
        if known is None:
            raise TerminalUnknown(terminal_id)
        roles = known_roles(context.services)
        if role is not None and role not in roles:
            raise OrderInvalid(f"{role!r} is no role; there are {', '.join(sorted(roles))}")
        limit = known.offline_limit_minor if offline_limit is None else offline_limit
        values: dict[str, Any] = {
            "role": role or known.role,
            "offline_limit_minor": None if no_offline else limit,
        }
        set_terms(connection, known.id, **values, actor=actor(), moment=context.now())
    offline = values["offline_limit_minor"]
    words = f"{terminal_id}: {values['role']}, " + (
        "nothing offline" if offline is None else f"at most {offline} offline"
    )
    say(f"{words}, from now on.", {"terminal": terminal_id, **values}, as_json=as_json)


@terminal.command("gaps")
@click.argument("terminal_id", required=False)
@json_option
@command
def terminal_gaps(terminal_id: str | None, as_json: bool) -> None:
    """Show which of its numbers a terminal has not told; a number that no card signed is never told.

    Reads the whole ledger.
    """
    with opened() as context, context.database.reading() as connection:
        if terminal_id is not None and find_terminal(connection, terminal_id) is None:
            raise TerminalUnknown(TerminalId(terminal_id))
        found = sequences(connection, terminal_id)
    say(
        "\n".join(map(_line, found)) or "Nothing has been told yet.",
        {"terminals": [_values(each) for each in found]},
        as_json=as_json,
    )


def _line(each: Sequences) -> str:
    ranges = ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in each.missing)
    missing = f"{each.missing_count} missing: {ranges}" if ranges else "none missing"
    return f"{each.terminal_id}: {each.first} to {each.last}, {each.seen} told, {missing}"


def _values(each: Sequences) -> dict[str, Any]:
    return {
        "terminal": each.terminal_id,
        "first": each.first,
        "last": each.last,
        "seen": each.seen,
        "missing": [{"first": first, "last": last} for first, last in each.missing],
    }
