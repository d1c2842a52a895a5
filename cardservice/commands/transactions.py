"""Looking at one transaction: why it was decided as it was."""

from collections.abc import Iterator
from datetime import datetime

import click

from cardservice.audit.service import record
from cardservice.authorisation.explanation import Explanation, explain
from cardservice.cardholders.service import require_cardholder
from cardservice.cardholders.transaction_reads import note_transaction_read
from cardservice.commands.common import actor, command, identifier, json_option, money, opened, say
from cardservice.rating.telling import ToldDay, tell_day


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
            note_transaction_read(
                connection, wanted, "transaction.explain", actor=actor(), moment=context.now()
            )
        with context.database.reading() as connection:
            found = explain(context, connection, wanted)
    say(_words(found), found.to_json(), as_json=as_json)


@transaction.command("day")
@click.argument("cardholder_id")
@click.argument("service_name", metavar="SERVICE")
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]))
@json_option
@command
def transaction_day(cardholder_id: str, service_name: str, day: datetime, as_json: bool) -> None:
    """Say journey by journey what a person's day with a service costs; that you asked is in the audit log."""
    with opened() as context:
        with context.database.begin() as connection:
            holder = require_cardholder(connection, identifier(cardholder_id))
            record(connection, actor(), "transaction.day", holder, context.now(), service=service_name)
        with context.database.reading() as connection:
            days = tell_day(context, connection, holder, service_name, day.date())
        currency = context.scheme.currency
    lines = [line for each in days for line in _of_day(each, currency)]
    values = [
        {
            "charged_minor": each.charged_minor,
            "should_be_minor": each.should_be_minor,
            "revision": each.revision,
            "agrees": each.agrees,
            "journeys": [dict(journey) for journey in each.journeys],
        }
        for each in days
    ]
    say("\n".join(lines) or "Nobody tapped on that day.", {"days": values}, as_json=as_json)


def _of_day(told: ToldDay, currency: str) -> Iterator[str]:
    yield f"Charged: {money(told.charged_minor, currency)}, by {len(told.journeys)} journeys"
    for journey in told.journeys:
        yield "  " + ", ".join(f"{name} {value}" for name, value in journey.items() if value is not None)
    if not told.agrees:
        yield f"It should be {money(told.should_be_minor, currency)}: the worker's next round charges that."


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
