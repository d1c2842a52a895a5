"""`sync` and `outbox`: what the terminal has to tell, and telling it."""

import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from reader_agent.chunks import join, readable
from reader_agent.commands import common
from reader_agent.errors import ConfigInvalid, OutboxConflict
from reader_agent.outbox_entries import Entry, EntryState
from reader_agent.resending import SentAgain, send_again
from reader_agent.sync import Delivery, SyncReport
from reader_agent.sync import sync as sync_agent


@click.command()
@common.agent_option
@common.as_json_option
@common.telling_errors
def sync(directory: Path, as_json: bool) -> None:
    """Tell the service what waits, and fetch its revocation lists; exit status 1 if something still waits."""
    with common.open_agent(directory) as agent:
        report = sync_agent(agent)
    common.show(as_json, asdict(report), _lines(report))
    if report.waiting:
        raise SystemExit(common.STATUS_ERROR)


@click.group()
def outbox() -> None:
    """What the terminal has to tell the service, or has told it in the last 35 days."""


@outbox.command("list")
@common.agent_option
@click.option("--state", type=click.Choice([str(state) for state in EntryState]), help="only these")
@common.as_json_option
@common.telling_errors
def list_entries(directory: Path, state: str | None, as_json: bool) -> None:
    """List the entries; nothing that is encrypted is shown."""
    with common.open_agent(directory) as agent:
        entries = agent.outbox.entries(*([EntryState(state)] if state else []))
    common.show(
        as_json,
        {"entries": [_entry_json(entry) for entry in entries]},
        [_line(entry) for entry in entries] or ["The outbox is empty."],
    )


@outbox.command("show")
@click.argument("entry", type=click.UUID)
@common.agent_option
@common.telling_errors
def show_entry(entry: UUID, directory: Path) -> None:
    """Show one entry with the message that is or was sent, and its answer, as JSON."""
    with common.open_agent(directory) as agent:
        found = agent.outbox.find(entry)
        if found is None:
            raise OutboxConflict(entry)
        content = agent.outbox.content(entry)
    message = (
        content.message.hex()
        if found.state in {EntryState.PREPARED, EntryState.VOID}
        else content.message.decode()
    )
    common.show(True, {**_entry_json(found), "message": message, "answer": content.answer}, [])


@outbox.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@common.agent_option
@common.as_json_option
@common.telling_errors
def export_entries(file: Path, directory: Path, as_json: bool) -> None:
    """Write what waits to a new file, for staff to deliver where this terminal cannot; it waits on here.

    A request that got no answer is not among it: `sync` closes it first.
    """
    with common.open_agent(directory) as agent:
        waiting = [entry for entry in agent.outbox.entries(EntryState.OPEN) if entry.kind != "request"]
        found = list(readable(agent.outbox, waiting))
    entries = [entry for _, entry in found if isinstance(entry, bytes)]
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ConfigInvalid(f"{file} exists already; name a new file") from error
    with os.fdopen(descriptor, "wb") as out:
        out.write(join(entries))
    damaged = [str(entry.id) for entry, content in found if not isinstance(content, bytes)]
    lines = [f"Wrote {len(entries)} entries to {file}.", *(f"{id_} is damaged" for id_ in damaged)]
    common.show(as_json, {"file": str(file), "entries": len(entries), "damaged": damaged}, lines)


@outbox.command("resend")
@click.option(
    "--since",
    required=True,
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="What was answered since then, in UTC.",
)
@common.agent_option
@common.as_json_option
@common.telling_errors
def resend(since: datetime, directory: Path, as_json: bool) -> None:
    """Send again what was answered, to a service that was restored; exit status 1 if it refuses any of it.

    `sync` does so by itself where the service asks for it.
    """
    with common.open_agent(directory) as agent:
        agent.fetch_trust()
        done = send_again(agent, since.replace(tzinfo=UTC))
    common.show(as_json, asdict(done), _sent_again(done))
    if done.refused:
        raise SystemExit(common.STATUS_ERROR)


def _sent_again(done: SentAgain) -> list[str]:
    lines = [f"Sent again: {done.posted} had been lost and are back, {done.known} were there."]
    return [*lines, *(f"  {count} refused: {code}" for code, count in sorted(done.refused.items()))]


def _lines(report: SyncReport) -> list[str]:
    lines = [f"{item.delivery:9} {item.kind:8} {item.id}  {item.detail}" for item in report.delivered]
    if report.sent_again is not None:
        lines += _sent_again(report.sent_again)
    if report.closed:
        lines.append(f"{report.closed} unanswered requests were annulled")
    told = sum(item.delivery is not Delivery.FAILED for item in report.delivered)
    lines.append(f"{told} told, {report.waiting} waiting, {report.purged} deleted after their 35 days")
    return lines


def _entry_json(entry: Entry) -> dict[str, object]:
    return {name: value for name, value in asdict(entry).items() if name != "digest"}


def _line(entry: Entry) -> str:
    about = "" if entry.relates_to is None else f"  about {entry.relates_to}"
    problem = "" if entry.problem is None else f"  {entry.problem}"
    created = f"{entry.created_at:%Y-%m-%d %H:%M:%S}"
    return f"{entry.sequence:6} {created} {entry.kind:8} {entry.state:9} {entry.id}{about}{problem}"
