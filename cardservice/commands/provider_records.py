"""Which providers there are, what each is called, and from when on one is closed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from cardservice.commands.common import acting, actor, command, json_option, money, opened, say
from cardservice.context import Context
from cardservice.ids import ProviderId
from cardservice.providers.closing import Left, close_provider, reopen_provider, what_is_left
from cardservice.providers.service import Provider, find_provider, list_providers, rename_provider
from cardservice.staff.roles import Right

_reason = click.option("--reason", required=True, help="One line; it is kept in the audit trail.")


@click.command("list")
@json_option
@command
def list_all(as_json: bool) -> None:
    """Show the providers. Whoever has the role provider sees their own alone."""
    with opened() as context, context.database.reading() as connection:
        found = list_providers(connection, acting().own_provider(Right.SEE_PROVIDERS))
    words = "\n".join(map(_line, found)) or "There are none."
    say(words, {"providers": list(map(_values, found))}, as_json=as_json)


@click.command("show")
@click.argument("provider_id")
@json_option
@command
def show(provider_id: str, as_json: bool) -> None:
    """Show a provider, and what there is still of it: terminals, outboxes, services, what it is owed."""
    with opened() as context:
        acting().require_provider(Right.SEE_PROVIDERS, provider_id)
        _say(context, provider_id, as_json=as_json)


@click.command("set")
@click.argument("provider_id")
@click.option("--name", required=True, help="What it is called from now on, in statements of before, too.")
@json_option
@command
def rename(provider_id: str, name: str, as_json: bool) -> None:
    """Call a provider otherwise; its identifier stays, and the audit trail keeps what it was called."""
    with opened() as context:
        with context.database.begin() as connection:
            rename_provider(connection, ProviderId(provider_id), name, actor=actor(), moment=context.now())
        _say(context, provider_id, as_json=as_json)


@click.command("close")
@click.argument("provider_id")
@_reason
@click.option(
    "--from",
    "since",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]),
    help="Such as 2026-12-31T18:00+00:00; without it, now.",
)
@json_option
@command
def close(provider_id: str, reason: str, since: datetime | None, as_json: bool) -> None:
    """Close a provider: its terminals ask nothing from then on, and nobody registers another for it.

    What they gave away before is still taken. Statements and refunds go on; `provider reopen` undoes it.
    """
    with opened() as context:
        moment = context.now()
        with context.database.begin() as connection:
            named: dict[str, Any] = {"reason": reason, "actor": actor(), "moment": moment}
            close_provider(connection, ProviderId(provider_id), (since or moment).astimezone(UTC), **named)
        _say(context, provider_id, as_json=as_json)


@click.command("reopen")
@click.argument("provider_id")
@_reason
@json_option
@command
def reopen(provider_id: str, reason: str, as_json: bool) -> None:
    """Open a provider again; its terminals that were not revoked go on as they were."""
    with opened() as context:
        with context.database.begin() as connection:
            named: dict[str, Any] = {"reason": reason, "actor": actor(), "moment": context.now()}
            reopen_provider(connection, ProviderId(provider_id), **named)
        _say(context, provider_id, as_json=as_json)


COMMANDS = (list_all, show, rename, close, reopen)


def _say(context: Context, provider_id: str, *, as_json: bool) -> None:
    currency = context.scheme.currency
    with context.database.reading() as connection:
        known = find_provider(connection, provider_id)
        left = what_is_left(connection, known.id, currency)
    words = "\n".join((_line(known), *_left_lines(left, currency)))
    say(words, {**_values(known), "left": _left_values(left, currency)}, as_json=as_json)


def _line(known: Provider) -> str:
    closed = "" if known.closed_from is None else f"; closed from {known.closed_from:%Y-%m-%d %H:%M} UTC on"
    return f"{known.id}: {known.name}{closed}"


def _values(known: Provider) -> dict[str, Any]:
    closed_from = None if known.closed_from is None else known.closed_from.isoformat()
    return {"provider": known.id, "name": known.name, "closed_from": closed_from}


def _left_lines(left: Left, currency: str) -> Iterator[str]:
    yield f"  terminals that were not revoked: {', '.join(left.terminals) or 'none'}"
    unsaid = f"; not said by {', '.join(left.unsaid)}" if left.unsaid else ""
    yield f"  waits in their outboxes, as they said last: {left.waiting}{unsaid}"
    yield f"  held in quarantine: {left.held}"
    yield f"  is named for: {', '.join(left.services) or 'no service'}"
    unsettled = money(left.unsettled_minor, currency)
    yield f"  is owed in all: {money(left.owed_minor, currency)}, and {unsettled} that has not settled"


def _left_values(left: Left, currency: str) -> dict[str, Any]:
    return {
        "terminals": list(left.terminals),
        "unsaid": list(left.unsaid),
        "waiting": left.waiting,
        "held": left.held,
        "services": list(left.services),
        "owed_minor": left.owed_minor,
        "unsettled_minor": left.unsettled_minor,
        "currency": currency,
    }
