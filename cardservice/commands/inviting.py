"""Terminals that enrol themselves: a code for one, and a code taken back."""

from datetime import timedelta

import click

from cardservice.commands.common import acting, actor, command, json_option, opened, say
from cardservice.commands.issuing import terminal
from cardservice.errors import OrderInvalid
from cardservice.ids import ProviderId, TerminalId
from cardservice.staff.roles import Right
from cardservice.terminals.enrolment import (
    LONGEST,
    VALIDITY,
    invite,
    invite_again,
    invited,
    withdraw_invitation,
)
from cardservice.terminals.roles import require_role
from cardservice.terminals.service import NewTerminal

__all__ = ["terminal"]

_MINUTE = timedelta(minutes=1)


@terminal.command("invite")
@click.argument("terminal_id")
@click.option("--provider", help="Whose terminal it is.")
@click.option("--role", help="What it may do.")
@click.option("--name", help="What people call it.")
@click.option(
    "--offline-limit",
    type=click.IntRange(min=0),
    help="The most for one transaction while it cannot ask, in minor units; without it, nothing.",
)
@click.option(
    "--minutes",
    type=click.IntRange(1, LONGEST // _MINUTE),
    default=VALIDITY // _MINUTE,
    show_default=True,
    help="How long the code holds.",
)
@click.option("--again", is_flag=True, help="For a registered terminal that has lost its key.")
@json_option
@command
def terminal_invite(
    terminal_id: str,
    provider: str | None,
    role: str | None,
    name: str | None,
    offline_limit: int | None,
    minutes: int,
    again: bool,
    as_json: bool,
) -> None:
    """Print a code by which a terminal enrols itself (reader-agent enrol --code), once, within an hour.

    The code is told now and never again; another invitation makes it void.
    """
    with opened() as context, context.database.begin() as connection:
        who, now = actor(), context.now()
        if again:
            if (provider, role, name, offline_limit) != (None, None, None, None):
                raise OrderInvalid(
                    "with --again it may do what it could before; see cardservice terminal set"
                )
            made = invite_again(connection, terminal_id, minutes * _MINUTE, actor=who, moment=now)
        else:
            if provider is None or role is None:
                raise OrderInvalid("say whose terminal it is and what it may do: --provider and --role")
            require_role(context.services, role)
            new = NewTerminal(
                TerminalId(terminal_id), ProviderId(provider), name or terminal_id, role, offline_limit
            )
            made = invite(connection, new, minutes * _MINUTE, actor=who, moment=now)
    words = [
        f"The code of {terminal_id}, until {made.expires_at:%Y-%m-%d %H:%M} UTC: {made.code}",
        "On the terminal: reader-agent enrol FOLDER --code",
    ]
    say(
        "\n".join(words),
        {"terminal": terminal_id, "code": made.code, "expires_at": made.expires_at.isoformat()},
        as_json=as_json,
    )


@terminal.command("invited")
@json_option
@command
def terminal_invited(as_json: bool) -> None:
    """Show whose codes are out and have not been used, never the codes."""
    with opened() as context, context.database.reading() as connection:
        found = invited(connection, acting().own_provider(Right.SEE_TERMINALS), context.now())
    lines = [
        f"{each.id}: {each.role} of {each.provider_id}, until {each.expires_at:%Y-%m-%d %H:%M} UTC,"
        f" by {each.by}; {each.attempts_left} attempts left"
        for each in found
    ]
    values = [
        {
            "terminal": each.id,
            "provider": each.provider_id,
            "role": each.role,
            "again": each.again,
            "expires_at": each.expires_at.isoformat(),
            "attempts_left": each.attempts_left,
            "by": each.by,
        }
        for each in found
    ]
    say("\n".join(lines) or "None is invited.", {"invited": values}, as_json=as_json)


@terminal.command("uninvite")
@click.argument("terminal_id")
@json_option
@command
def terminal_uninvite(terminal_id: str, as_json: bool) -> None:
    """Make the code of a terminal void that nobody has used."""
    with opened() as context, context.database.begin() as connection:
        withdraw_invitation(connection, terminal_id, actor=actor(), moment=context.now())
    say(f"{terminal_id} is not invited any more.", {"terminal": terminal_id}, as_json=as_json)
