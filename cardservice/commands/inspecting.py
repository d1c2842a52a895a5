"""Looking into the ledger: proofs, refused messages."""

from pathlib import Path

import click

from cardservice.audit.service import security_events
from cardservice.authorisation.export import export_proof
from cardservice.cardholders.transaction_reads import note_transaction_read
from cardservice.commands.common import actor, command, identifier, json_option, opened, say


@click.group()
def proof() -> None:
    """The cards' proofs."""


@proof.command("export")
@click.argument("transaction_id")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@json_option
@command
def proof_export(transaction_id: str, directory: Path, as_json: bool) -> None:
    """Write a transaction's proof into a new folder, to be checked with openssl alone."""
    wanted = identifier(transaction_id)
    with opened() as context:
        # A proof tells whose card was where: that somebody reads it is noted first.
        with context.database.begin() as connection:
            note_transaction_read(connection, wanted, "proof.export", actor=actor(), moment=context.now())
        files = export_proof(context, wanted, directory)
    say(
        f"Wrote {len(files)} files; sh {directory / 'verify.sh'} checks them.",
        {"directory": str(directory), "files": [path.name for path in files]},
        as_json=as_json,
    )


@click.group()
def security() -> None:
    """Refused messages."""


@security.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
@command
def security_list(limit: int, as_json: bool) -> None:
    """Show the latest messages that were refused, the newest first."""
    with opened() as context, context.database.reading() as connection:
        events = list(security_events(connection, limit=limit))
    values = [
        {
            "at": event.at.isoformat(),
            "code": event.code,
            "terminal": event.terminal_id,
            "transaction": None if event.transaction_id is None else str(event.transaction_id),
            "body": None if event.body is None else event.body.hex(),
            "quarantined": event.quarantined,
            "detail": event.detail,
        }
        for event in events
    ]
    words = [
        f"{event['at']}  {event['code']}  {event['terminal'] or '-'}  {event['transaction'] or '-'}"
        + ("  quarantined" if event["quarantined"] else "")
        for event in values
    ]
    say("\n".join(words) or "Nothing was refused.", {"events": values}, as_json=as_json)
