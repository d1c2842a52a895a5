"""Looking at one transaction: why it was decided as it was."""

import click

from cardservice.audit.service import record
from cardservice.authorisation.explanation import Explanation, explain
from cardservice.commands.common import actor, command, identifier, json_option, money, opened, say


@click.group()
def transaction() -> None:
    """What was charged, and what was refused."""


@transaction.command("explain")
@click.argument("transaction_id")
@json_option
@command
def transaction_explain(transaction_id: str, as_json: bool) -> None:
    """Say why a transaction was charged or refused; that you asked is written to the audit log."""
    wanted = identifier(transaction_id)
    with opened() as context:
        # Noted first, and for good: whatever is then read was read by somebody.
        with context.database.begin() as connection:
            record(connection, actor(), "transaction.explain", wanted, context.now())
        with context.database.reading() as connection:
            found = explain(context, connection, wanted)
    say(_words(found), found.to_json(), as_json=as_json)


def _words(found: Explanation) -> str:
    amount = "" if found.amount_minor is None else f", {money(found.amount_minor, found.currency)}"
    lines = [
        f"{found.kind} of {found.occurred_at}{amount}: {found.decision} ({found.reason})",
        *(f"  {'!' if spoken.against else '-'} {spoken.text()}" for spoken in found.spoken),
    ]
    if found.agrees:
        lines.append("Decided again from what was stored, it comes to the same.")
    elif found.agrees is False:
        differs = ", ".join(found.differs or ())
        lines.append(f"Decided again from what was stored, it does NOT come to the same: {differs}.")
    return "\n".join(lines)
