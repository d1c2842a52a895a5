"""The audit trail: what was done, by whom; and whether anything of it was changed since."""

import json
from datetime import UTC, datetime

import click

from cardservice.audit import chain
from cardservice.audit.chain import Head
from cardservice.audit.searching import Wanted, search
from cardservice.audit.service import record
from cardservice.commands.common import Failure, actor, command, json_option, opened, say

_limit = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="How many at most, the newest.",
)


@click.group()
def audit() -> None:
    """Who did what; it never holds what a person's record says."""


@audit.command("list")
@_limit
@json_option
@command
def audit_list(limit: int, as_json: bool) -> None:
    """Show the latest entries, the newest first."""
    _show(Wanted(limit=limit), as_json)


@audit.command("search")
@click.option("--actor", "who", help="Such as staff:ann, cli:root, terminal:till-1.")
@click.option("--action", help="Such as card.revoke; with a dot at its end, all that begin so.")
@click.option("--subject", help="A card, a cardholder, a terminal, an account.")
@click.option("--from", "since", type=click.DateTime(), help="From this moment on, UTC.")
@click.option("--to", "before", type=click.DateTime(), help="Before this moment, UTC.")
@_limit
@json_option
@command
def audit_search(
    who: str | None,
    action: str | None,
    subject: str | None,
    since: datetime | None,
    before: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show the entries that match, the newest first; that you searched is one of them.

    \b
    For example:
      cardservice audit search --actor staff:ann --action card. --from 2026-06-01
    """
    first, last = (None if moment is None else moment.replace(tzinfo=UTC) for moment in (since, before))
    _show(Wanted(who, action, subject, first, last, limit), as_json)


@audit.command("verify")
@click.option(
    "--reached", metavar="SEQUENCE:HASH", help="A head that was printed before; it must still be there."
)
@json_option
@command
def audit_verify(reached: str | None, as_json: bool) -> None:
    """Link what is not linked yet, and compute the whole chain anew; exit status 1 if anything is found.

    Keep the head that it prints elsewhere, and give it the next time: so it is found, too, if everything was
    rewritten from some entry on.
    """
    try:
        head = None if reached is None else Head.parse(reached)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    with opened() as context:
        chain.lengthen(context.database, None)
        with context.database.reading() as connection:
            found = chain.verify(connection, head)
    values = {
        "head": str(found.head),
        "entries": found.entries,
        "erased": found.erased,
        "waiting": found.waiting,
        "findings": list(found.findings),
    }
    words = [f"{found.entries} entries, {found.erased} of them of erased persons. The head is {found.head}"]
    say("\n".join([*words, *found.findings]), values, as_json=as_json)
    if found.findings:
        raise Failure("the audit trail is not what was written")


def _show(wanted: Wanted, as_json: bool) -> None:
    with opened() as context:
        with context.database.reading() as connection:
            found = list(search(connection, wanted))
        with context.database.begin() as connection:
            record(connection, actor(), "audit.search", wanted.subject or "all", context.now())
    values = [
        {
            "id": each.id,
            "at": each.at.isoformat(),
            "actor": each.actor,
            "action": each.action,
            "subject": each.subject,
            "detail": each.detail,
            "sequence": each.sequence,
        }
        for each in found
    ]
    lines = [
        f"{each.at.isoformat()}  {each.actor}  {each.action}  {each.subject}  "
        + json.dumps(each.detail, ensure_ascii=False)
        for each in found
    ]
    say("\n".join(lines) or "There is nothing.", {"entries": values}, as_json=as_json)
