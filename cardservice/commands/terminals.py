"""What a registered terminal may do, and what it has told."""

from datetime import datetime
from typing import Any

import click

from cardservice.commands.common import acting, actor, command, json_option, opened, say
from cardservice.commands.inviting import terminal
from cardservice.errors import TerminalUnknown
from cardservice.ids import TerminalId
from cardservice.staff.roles import Right
from cardservice.terminals.gaps import Sequences, sequences
from cardservice.terminals.health import Health, Listed, list_terminals
from cardservice.terminals.roles import require_role
from cardservice.terminals.service import find_terminal, name_of, rename_terminal, set_terms, terminals_of

__all__ = ["terminal"]


@terminal.command("set")
@click.argument("terminal_id")
@click.option("--name", help="What it is called from now on, such as where it stands.")
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
    terminal_id: str,
    name: str | None,
    role: str | None,
    offline_limit: int | None,
    no_offline: bool,
    as_json: bool,
) -> None:
    """Let a terminal do something else from now on; what it did before is judged by what held then.

    With --name alone what it may do stays as it is.
    """
    with opened() as context, context.database.begin() as connection:
        known = find_terminal(connection, terminal_id)
        if known is None:
            raise TerminalUnknown(terminal_id)
        if name is not None:
            rename_terminal(connection, known.id, name, actor=actor(), moment=context.now())
        if role is not None:
            require_role(context.services, role)
        limit = known.offline_limit_minor if offline_limit is None else offline_limit
        values: dict[str, Any] = {
            "role": role or known.role,
            "offline_limit_minor": None if no_offline else limit,
        }
        if name is None or (values["role"], values["offline_limit_minor"]) != (
            known.role,
            known.offline_limit_minor,
        ):
            set_terms(connection, known.id, **values, actor=actor(), moment=context.now())
        called = name_of(connection, known.id)
    offline = values["offline_limit_minor"]
    words = f"{terminal_id} ({called}): {values['role']}, " + (
        "nothing offline" if offline is None else f"at most {offline} offline"
    )
    say(f"{words}, from now on.", {"terminal": terminal_id, "name": called, **values}, as_json=as_json)


@terminal.command("list")
@json_option
@command
def terminal_list(as_json: bool) -> None:
    """Show terminals, when each was last heard of, what waits in its outbox and how its clock goes.

    A terminal says it whenever it syncs. Whoever has the role provider sees their provider's alone.
    """
    with opened() as context, context.database.reading() as connection:
        own = acting().own_provider(Right.SEE_TERMINALS)
        found = list_terminals(connection, own)
    words = "\n".join(map(_listed_line, found)) or "There are none."
    say(words, {"terminals": list(map(_listed_values, found))}, as_json=as_json)


@terminal.command("gaps")
@click.argument("terminal_id", required=False)
@json_option
@command
def terminal_gaps(terminal_id: str | None, as_json: bool) -> None:
    """Show which of its numbers a terminal has not told; a number that no card signed is never told.

    Reads the whole ledger.
    """
    with opened() as context, context.database.reading() as connection:
        own = acting().own_provider(Right.SEE_TERMINALS)
        if terminal_id is not None:
            known = find_terminal(connection, terminal_id)
            # Of another provider's terminal not even that it is there.
            if known is None or own not in {None, known.provider_id}:
                raise TerminalUnknown(TerminalId(terminal_id))
        found = sequences(connection, terminal_id)
        if own is not None:
            theirs = terminals_of(connection, own)
            found = [each for each in found if each.terminal_id in theirs]
    say(
        "\n".join(map(_line, found)) or "Nothing has been told yet.",
        {"terminals": [_values(each) for each in found]},
        as_json=as_json,
    )


def _listed_line(each: Listed) -> str:
    closed = (
        "" if each.closed_from is None else f", which is closed from {each.closed_from:%Y-%m-%d %H:%M} on"
    )
    called = "" if each.name == each.id else f" ({each.name})"
    who = f"{each.id}{called}: {each.state}, {each.role} of {each.provider_id}{closed}"
    if each.health is None or each.seen_at is None:
        return f"{who}; never heard of"
    oldest = each.health.oldest_waiting_at
    since = "" if oldest is None else f" since {oldest:%Y-%m-%d %H:%M}"
    clock = f"clock {each.clock_ahead_ms:+} ms"
    heard = f"heard of {each.seen_at:%Y-%m-%d %H:%M:%S}, {each.health.waiting} wait{since}, {clock}"
    return f"{who}; {heard}\n    {_has_line(each.health)}"


def _has_line(said: Health) -> str:
    """What a terminal decides by while it cannot ask."""
    trust, lists = (
        "none" if each is None else f"{each:%Y-%m-%d %H:%M}"
        for each in (said.trust_fetched_at, said.lists_end_at)
    )
    tariffs = ", ".join(f"{service} {version}" for service, version in sorted(said.tariffs.items()))
    return (
        f"trust store of {trust}, lists until {lists}, tariffs: {tariffs or 'none'}; version {said.version}"
    )


def _listed_values(each: Listed) -> dict[str, Any]:
    said = each.health
    values: dict[str, Any] = {
        "terminal": each.id,
        "provider": each.provider_id,
        "name": each.name,
        "role": each.role,
        "state": each.state,
        "closed_from": _text(each.closed_from),
        "seen_at": _text(each.seen_at),
    }
    if said is not None:
        values |= {
            "clock_ahead_ms": each.clock_ahead_ms,
            "waiting": said.waiting,
            "oldest_waiting_at": _text(said.oldest_waiting_at),
            "trust_fetched_at": _text(said.trust_fetched_at),
            "lists_end_at": _text(said.lists_end_at),
            "tariffs": dict(said.tariffs),
            "version": said.version,
        }
    return values


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


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
