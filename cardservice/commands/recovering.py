"""`recovery`: after the database was restored from a backup."""

from dataclasses import asdict
from typing import Any

import click

from cardservice.commands.common import Failure, actor, command, json_option, opened, say
from cardservice.config import PREFIX
from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.recovery.heads import Comparison
from cardservice.recovery.noticing import look
from cardservice.recovery.service import State, begin, finish, state
from cardservice.upkeep import calendar_of

_HEADS = click.option(
    "--heads", help="A file or https address with the heads published last; otherwise by the setting."
)


@click.group()
def recovery() -> None:
    """What a restored backup lacks, and how it comes back from the terminals."""


@recovery.command("check")
@_HEADS
@json_option
@command
def recovery_check(heads: str | None, as_json: bool) -> None:
    """Compare the published heads with the database; exit status 1 if it lacks any of them."""
    with opened() as context:
        found = look(context, _source(context, heads))
    say("\n".join(_compared(found)), _comparison(found), as_json=as_json)
    if found.lost:
        raise Failure("the database is older than what was published; see cardservice recovery begin")


@recovery.command("begin")
@click.option("--reason", required=True, help="Such as: restored from the backup of 3 May.")
@_HEADS
@json_option
@command
def recovery_begin(reason: str, heads: str | None, as_json: bool) -> None:
    """Begin a recovery after each restore, before the service starts. Nothing may be posting meanwhile.

    Also where no head is missing: what was posted since the last seal is in none.
    """
    with opened() as context:
        lost: Any = ()
        source = heads or context.settings.published_heads
        if source:
            lost = look(context, source).lost
        begun = begin(context, calendar_of(context), lost, reason=reason, actor=actor())
    say(
        f"Recovery {begun.number} has begun, with epoch {begun.epoch}; published heads missing: {len(lost)}."
        f" Start the service: terminals send again what was settled since {begun.since}.",
        {"recovery": begun.number, "epoch": begun.epoch, "since": str(begun.since), "lost_heads": len(lost)},
        as_json=as_json,
    )


@recovery.command("status")
@json_option
@command
def recovery_status(as_json: bool) -> None:
    """How far the open recovery has come, and what is missing."""
    with opened() as context, context.database.reading() as connection:
        found = state(connection)
    say("\n".join(_words(found)), _values(found), as_json=as_json)


@recovery.command("finish")
@click.option("--anyway", is_flag=True, help="Although terminals have not sent again what they kept.")
@json_option
@command
def recovery_finish(anyway: bool, as_json: bool) -> None:
    """End the recovery: requests are taken again, within a second, and days are sealed."""
    with opened() as context:
        found = finish(context, actor=actor(), anyway=anyway)
    words = ["The recovery is finished.", *_words(found)]
    say("\n".join(words), _values(found), as_json=as_json)


def _source(context: Context, heads: str | None) -> str:
    source = heads or context.settings.published_heads
    if not source:
        raise OrderInvalid(f"name the published heads with --heads, or set {PREFIX}PUBLISHED_HEADS")
    return source


def _compared(found: Comparison) -> list[str]:
    last = "nothing" if found.last is None else f"head {found.last.number}, of {found.last.day}"
    lines = [f"The database is sealed through {last}; {found.published} heads were published."]
    lines += [f"  lost: head {head.number}, of {head.day}, {head.size} entries" for head in found.lost]
    return lines


def _comparison(found: Comparison) -> dict[str, object]:
    return {
        "last": None if found.last is None else {"number": found.last.number, "day": str(found.last.day)},
        "published": found.published,
        "lost": [
            {"number": head.number, "day": str(head.day), "size": head.size, "root": head.root.hex()}
            for head in found.lost
        ],
    }


def _words(found: State) -> list[str]:
    back = ", ".join(f"{count} {decision}" for decision, count in sorted(found.back.items())) or "nothing"
    lines = [
        f"Recovery {found.recovery.number}, since {found.recovery.began_at}: {found.recovery.reason}",
        f"Came back: {back}.",
    ]
    lines += [
        f"  {day.day}: {day.sealed} entries had been sealed, {day.back} requests of that day came back"
        for day in found.lost
    ]
    if found.lost:
        lines.append("Of the others no terminal keeps anything: payments, ratings, and what staff booked.")
    lines.append(f"All was sent again by {len(found.complete)} terminals.")
    if found.missing:
        lines.append(f"Not yet by: {', '.join(found.missing)}")
    return lines


def _values(found: State) -> dict[str, object]:
    return {
        "recovery": found.recovery.number,
        "epoch": found.recovery.epoch,
        "since": str(found.recovery.since),
        "reason": found.recovery.reason,
        "lost": [asdict(day) for day in found.lost],
        "back": dict(found.back),
        "complete": list(found.complete),
        "missing": list(found.missing),
    }
