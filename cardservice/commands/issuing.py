"""Terminals: what is registered, and taken back."""

from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.commands.common import actor, command, json_option, opened, say
from cardservice.ids import ProviderId, TerminalId
from cardservice.terminals import service as terminals
from cardservice.terminals.roles import require_role


@click.group()
def terminal() -> None:
    """Terminals."""


@terminal.command("add")
@click.argument("terminal_id")
@click.option(
    "--csr",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The terminal's signing request.",
)
@click.option("--provider", required=True, help="Whose terminal it is.")
@click.option("--role", required=True, help="What it may do.")
@click.option("--name", help="What people call it.")
@click.option(
    "--offline-limit",
    type=click.IntRange(min=0),
    help="The most for one transaction while it cannot ask, in minor units; without it, nothing.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the certificate here.")
@json_option
@command
def terminal_add(
    terminal_id: str,
    csr: Path,
    provider: str,
    role: str,
    name: str | None,
    offline_limit: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Register a terminal and certify the key of its signing request (PEM)."""
    with opened() as context:
        require_role(context.services, role)
        new = terminals.NewTerminal(
            id=TerminalId(terminal_id),
            provider_id=ProviderId(provider),
            name=name or terminal_id,
            role=role,
            offline_limit_minor=offline_limit,
        )
        with context.database.begin() as connection:
            issued = terminals.register_terminal(
                connection,
                context.authority(terminals.AUTHORITY, connection),
                new,
                csr.read_bytes(),
                actor=actor(),
                moment=context.now(),
            )
    pem = issued.public_bytes(Encoding.PEM)
    if out is not None:
        out.write_bytes(pem)
    words = f"Registered {terminal_id}; its certificate is in {out}." if out else pem.decode().strip()
    say(words, {"terminal": terminal_id, "role": role, "certificate": pem.decode()}, as_json=as_json)


@terminal.command("revoke")
@click.argument("terminal_id")
@click.option("--reason", default="out of service", show_default=True, help="Why, on one line; it is kept.")
@json_option
@command
def terminal_revoke(terminal_id: str, reason: str, as_json: bool) -> None:
    """Revoke a terminal from now on; advices that it made before are still taken."""
    with opened() as context, context.database.begin() as connection:
        terminals.revoke_terminal(
            connection,
            context.authority(terminals.AUTHORITY, connection),
            TerminalId(terminal_id),
            reason=reason,
            actor=actor(),
            moment=context.now(),
        )
    say(f"Terminal {terminal_id} is revoked.", {"terminal": terminal_id, "state": "revoked"}, as_json=as_json)
