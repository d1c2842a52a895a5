"""Tariffs: load a draft, see what it would change, have a second person approve it, go back."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from cardservice.commands.common import (
    acting,
    actor,
    command,
    identifier,
    json_option,
    money,
    opened,
    say,
)
from cardservice.errors import OrderInvalid
from cardservice.ledger.statements import Period
from cardservice.staff.roles import Right
from cardservice.tariffs import desk
from cardservice.tariffs.desk import Offered
from cardservice.tariffs.drafts import APPROVED, OPEN, Draft, open_drafts
from cardservice.tariffs.holidays import DIVISIONS, holidays
from cardservice.tariffs.repricing import AT_MOST, Again, rows_of
from cardservice.tariffs.schemas import draft_values, offered_values, preview_values
from cardservice.tariffs.service import TariffRecord, tariff_in_force, tariff_records

_DAY = click.DateTime(["%Y-%m-%d"])
_SHOWN = 40  # ours: changes on a screen; `--json` and `--all` have every one


@click.command("load")
@click.argument("service")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--map",
    "mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What the feed does not say, in JSON (docs/services).",
)
@click.option("--approve", "at_once", is_flag=True, help="Put it in force, too, where one person is enough.")
@json_option
@command
def load(service: str, files: tuple[Path, ...], mapping: Path | None, at_once: bool, as_json: bool) -> None:
    """Load a version of a service's tariff as a draft, and say what it would change.

    It counts once somebody else has approved it, from its own date on:

    \b
      cardservice load parking summer.json
      cardservice tariff approve DRAFT
    """
    given = (*files, mapping) if mapping is not None else files
    with opened() as context:
        acting().require_service(Right.DRAFT_TARIFFS, service)
        if at_once:
            acting().require(Right.APPROVE_TARIFFS, "load --approve")
        offered = desk.load(context, service, given, actor=actor(), at_once=at_once)
    loaded, draft = offered.loaded, offered.draft
    values = {
        "service": service,
        "version": loaded.version,
        "valid_from": loaded.valid_from.isoformat(),
        "new": draft is not None,
        "draft": None if draft is None else str(draft.id),
        "state": APPROVED if draft is None else draft.state,
        "report": list(loaded.report),
        "preview": None if offered.changes is None else preview_values(offered.changes),
    }
    outcome = "Already there:" if draft is None else "Drafted" if draft.state == OPEN else "Loaded"
    words = [f"{outcome} {service} {loaded.version}, from {loaded.valid_from.isoformat()}"]
    words += [f"  {line}" for line in loaded.report]
    words += _changes(offered, everything=False)
    if draft is not None and draft.state == OPEN:
        words += [f"It waits for somebody else than {draft.author}: cardservice tariff approve {draft.id}"]
    say("\n".join(words), values, as_json=as_json)


@click.group()
def tariff() -> None:
    """What services charge: versions, and drafts that wait for a second person."""


@tariff.command("list")
@click.argument("service", required=False)
@json_option
@command
def tariff_list(service: str | None, as_json: bool) -> None:
    """List all versions of each service, which of them is in force, and the drafts that wait."""
    with opened() as context, context.database.reading() as connection:
        names = sorted(context.services) if service is None else [desk.service_of(context, service).name]
        records = {name: tariff_records(connection, name) for name in names}
        current = {name: tariff_in_force(connection, name, context.now()) for name in names}
        waiting = open_drafts(connection, service)
    in_force = {(found.service, found.version) for found in current.values() if found is not None}
    listed = [record for name in names for record in records[name]]
    values = {
        "versions": [_record_values(record, in_force) for record in listed],
        "drafts": [draft_values(draft) for draft in waiting],
    }
    words = [_record_words(record, in_force) for record in listed] + [_draft_words(each) for each in waiting]
    say("\n".join(words) or "No tariff is loaded.", values, as_json=as_json)


@tariff.command("preview")
@click.argument("draft_id")
@click.option("--all", "everything", is_flag=True, help=f"All changes, not the first {_SHOWN}.")
@json_option
@command
def tariff_preview(draft_id: str, everything: bool, as_json: bool) -> None:
    """Say what a draft would change if it were approved now."""
    with opened() as context:
        offered = desk.look(context, identifier(draft_id))
    words = _changes(offered, everything=everything)
    if offered.draft is not None:
        words = [_draft_words(offered.draft), *words]
    say("\n".join(words), offered_values(offered), as_json=as_json)


@tariff.command("past")
@click.argument("draft_id")
@click.argument("first", type=_DAY)
@click.argument("last", type=_DAY)
@click.option(
    "--at-most", type=click.IntRange(1), default=AT_MOST, show_default=True, help="Sales to look at."
)
@json_option
@command
def tariff_past(draft_id: str, first: datetime, last: datetime, at_most: int, as_json: bool) -> None:
    """Say what past days would have come to under a draft, from FIRST to LAST; nothing is posted."""
    with opened() as context:
        period = Period(first.date(), last.date())
        found = desk.look_back(context, identifier(draft_id), period, at_most)
        currency = context.scheme.currency
    values = {
        "weeks": found.weeks,
        "actions": {name: {**asdict(each), "refused": dict(each.refused)} for name, each in rows_of(found)},
        "erased": found.erased,
        "more": found.more,
        "currency": currency,
    }
    words = [_again_words(name, each, currency) for name, each in rows_of(found)] or ["Nothing was sold."]
    if found.weeks:
        words.append(f"The days were moved on by {found.weeks} weeks, to when the draft holds.")
    if found.erased:
        words.append(f"Of {found.erased} the details were erased.")
    if found.more:
        words.append(f"There were more: {at_most} were looked at.")
    say("\n".join(words), values, as_json=as_json)


def _again_words(name: str, each: Again, currency: str) -> str:
    sums = " becomes ".join(money(amount, currency) for amount in (each.before_minor, each.after_minor))
    refused = "".join(f"; {count} not sold: {reason}" for reason, count in sorted(each.refused.items()))
    return f"{name}: {each.count}, {sums}; {each.dearer} dearer, {each.cheaper} cheaper{refused}"


@tariff.command("approve")
@click.argument("draft_id")
@json_option
@command
def tariff_approve(draft_id: str, as_json: bool) -> None:
    """Put a draft in force that somebody else has loaded."""
    with opened() as context:
        draft = desk.approve(context, identifier(draft_id), actor=actor())
    say(_draft_words(draft), draft_values(draft), as_json=as_json)


@tariff.command("withdraw")
@click.argument("draft_id")
@click.option("--reason", required=True, help="Why it shall not be.")
@json_option
@command
def tariff_withdraw(draft_id: str, reason: str, as_json: bool) -> None:
    """Close a draft that shall not be; it stays on record."""
    with opened() as context:
        found = desk.look(context, identifier(draft_id)).draft
        if found is not None:
            acting().require_service(Right.DRAFT_TARIFFS, found.service)
        draft = desk.withdraw(context, identifier(draft_id), reason, actor=actor())
    say(_draft_words(draft), draft_values(draft), as_json=as_json)


@tariff.command("return")
@click.argument("service")
@click.argument("version")
@click.option(
    "--from", "since", help="A day such as 2026-07-01, or a moment; from its approval on unless said."
)
@json_option
@command
def tariff_return(service: str, version: str, since: str | None, as_json: bool) -> None:
    """Draft an earlier version anew: the way back from one that took its place. It is approved like any."""
    with opened() as context:
        acting().require_service(Right.DRAFT_TARIFFS, service)
        moment = None if since is None else _moment(since, context.scheme.timezone)
        offered = desk.go_back(context, service, version, moment, actor=actor())
    words = [*([] if offered.draft is None else [_draft_words(offered.draft)])]
    say("\n".join([*words, *_changes(offered, everything=False)]), offered_values(offered), as_json=as_json)


@tariff.command("holidays")
@click.argument("division", type=click.Choice(DIVISIONS))
@click.argument("first", type=_DAY)
@click.argument("last", type=_DAY)
@click.option("--add", "proclaimed", type=_DAY, multiple=True, help="A day that was proclaimed besides.")
@command
def tariff_holidays(division: str, first: datetime, last: datetime, proclaimed: tuple[datetime, ...]) -> None:
    """Print bank holidays as JSON, to be put into a tariff's file, from FIRST to LAST."""
    found = holidays(division, first.date(), last.date(), [day.date() for day in proclaimed])
    days = [day.isoformat() for day in found.days]
    say("", {"division": found.division, "until": found.until.isoformat(), "holidays": days}, as_json=True)


def _moment(text: str, timezone: str) -> datetime:
    """A day's beginning by the scheme's clock, or a moment. Raises OrderInvalid."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OrderInvalid(f"{text!r} is no day such as 2026-07-01") from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(timezone))).astimezone(
        UTC
    )


def _changes(offered: Offered, *, everything: bool) -> list[str]:
    found = offered.changes
    if found is None:
        return []
    if found.hidden:
        return [f"It would change nothing: {found.before} begins later, and is in force."]
    since = "its approval" if found.at_once else found.begins.isoformat()
    until = "" if found.ends is None else f" until {found.ends.isoformat()}, when another begins"
    beside = f"beside {found.before}" if found.before else "for the first time"
    shown = found.changes if everything else found.changes[:_SHOWN]
    words = [f"From {since} on{until}, {beside}: {len(found.changes)} changes."]
    words += [f"  {change}" for change in shown]
    if len(shown) < len(found.changes):
        words += [f"  and {len(found.changes) - len(shown)} more"]
    return words


def _draft_words(draft: Draft) -> str:
    said = {OPEN: "waits"}.get(draft.state, f"{draft.state} by {draft.closed_by}")
    because = f" ({draft.closed_because})" if draft.closed_because else ""
    return (
        f"{draft.id} {draft.service} {draft.loaded.version}, from {draft.loaded.valid_from.isoformat()},"
        f" loaded by {draft.author}: {said}{because}"
    )


def _record_words(record: TariffRecord, in_force: set[tuple[str, str]]) -> str:
    version = record.version
    mark = ", in force" if (version.service, version.version) in in_force else ""
    by = record.author if record.approved_by is None else f"{record.author}, {record.approved_by}"
    return f"{version.service} {version.version} from {version.valid_from.isoformat()}{mark} ({by})"


def _record_values(record: TariffRecord, in_force: set[tuple[str, str]]) -> dict[str, Any]:
    version = record.version
    return {
        "service": version.service,
        "version": version.version,
        "valid_from": version.valid_from.isoformat(),
        "recorded_at": record.recorded_at.isoformat(),
        "source": record.source,
        "author": record.author,
        "approved_by": record.approved_by,
        "in_force": (version.service, version.version) in in_force,
    }
