"""Erasing: a person for good, details whose time is over, and the key that wraps everybody's keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import click
from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.cardholders.erasure import Plan, erase_cardholder, plan_erasure
from cardservice.cardholders.records import index_some
from cardservice.cardholders.retention import (
    DORMANT,
    Over,
    dormant,
    erase_records,
    record_periods,
    survey_records,
)
from cardservice.commands.common import Failure, acting, actor, command, identifier, json_option, opened, say
from cardservice.commands.records import cardholder
from cardservice.context import Context
from cardservice.errors import ErasureRefused
from cardservice.keys import kek_name, make_kek_version
from cardservice.ledger.key_ring import KeyRing
from cardservice.ledger.privacy import rewrap, wrapped_under
from cardservice.ledger.retention import Due, erase_counters, erase_due, erase_resources, periods, survey
from cardservice.quarantine.sealing import seal_anew, sealed_under
from cardservice.services import retention_days
from cardservice.services.seam import Passing
from cardservice.staff.functions import OPTIONS

__all__ = ["cardholder", "keys", "retention"]

# Of cardholders' keys that are wrapped anew in one transaction.
_KEYS_AT_ONCE = 500
_USELESS = "; {} may be destroyed"
_ERASE_DORMANT = "retention run --erase-dormant"


@cardholder.command("erase")
@click.argument("cardholder_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and what stands against it.")
@json_option
@command
def cardholder_erase(cardholder_id: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Erase a person for good: cards, record, details, proofs. Amounts stay, under nobody's name."""
    holder = identifier(cardholder_id)
    with opened() as context:
        with context.database.reading() as connection:
            plan = plan_erasure(connection, holder, context.now())
        if dry_run:
            say(_words(plan), plan.to_json() | {"erased": False}, as_json=as_json)
            return
        if not yes:
            if as_json:
                raise Failure("this cannot be undone; say --yes in a script")
            click.echo(_words(plan), err=True)
            click.confirm("This cannot be undone. Erase this person?", abort=True, err=True)
        done = erase_cardholder(context, holder, actor=actor())
    words = (
        f"Erased: {len(done.cards)} cards, the details of {done.details} transactions. Backups forget later."
    )
    say(words, done.to_json() | {"erased": True}, as_json=as_json)


def _words(plan: Plan) -> str:
    return "\n".join(
        (
            f"{len(plan.cards)} cards, of which {len(plan.cards_to_revoke)} are to be revoked first",
            f"{plan.transactions} transactions, {plan.details} of them with details: amounts and ids stay",
            f"{plan.audit_entries} entries of the audit log, which get a pseudonym",
            f"{plan.held_back} messages in quarantine, which go, too",
            *(f"stands against it: {each.message}" for each in plan.objections),
        )
    )


@click.group()
def retention() -> None:
    """How long details are kept."""


@retention.command("run")
@click.option("--dry-run", is_flag=True, help="Say what is due, and erase nothing.")
@click.option(
    "--erase-dormant", is_flag=True, help="Erase people with whom nothing happens, too: for good, each noted."
)
@json_option
@command
def retention_run(dry_run: bool, erase_dormant: bool, as_json: bool) -> None:
    """Erase the details and records whose time is over; broken off, it goes on when it is run again.

    Of dormant people it says how many there are; they are erased with --erase-dormant alone.
    """
    with opened() as context:
        if erase_dormant:
            acting().require(OPTIONS[_ERASE_DORMANT], _ERASE_DORMANT)
        moment = context.now()
        days = periods(retention_days(context.services), context.settings.retention_days)
        with context.database.reading() as connection:
            found = survey(connection, days, moment)
            over = survey_records(
                context, connection, record_periods(context.settings.retention_days), moment
            )
        erased = {} if dry_run else {one.retention_class: _erase(context, one) for one in found if one.due}
        passed = {} if dry_run else _erase_passed(context, days)
        records = [] if dry_run else _erase_records(context, over, erase_dormant=erase_dormant)
    values = [
        {
            "class": one.retention_class,
            "days": one.days,
            "kept": one.kept - erased.get(one.retention_class, 0),
            "due": one.due,
            "erased": erased.get(one.retention_class, 0),
        }
        for one in found
    ]
    words = "\n".join(_of_class(one, erased.get(one.retention_class)) for one in found)
    told = [words or "There are no details.", *(f"{name}: {count} erased" for name, count in passed.items())]
    records = records or [
        {"class": one.record_class, "days": one.days, "due": one.due, "erased": 0} for one in over
    ]
    told += [
        f"{each['class']}: {each['due']} over after {each['days']} days, {each['erased']} erased"
        for each in records
    ]
    values_of = {"classes": values, "passed": passed, "records": records, "dry_run": dry_run}
    say("\n".join(told), values_of, as_json=as_json)


def _erase_passed(context: Context, days: Mapping[str, int]) -> dict[str, int]:
    """Take away the counters and resources whose times have passed; how many, by what they were."""
    moment, who, erased = context.now(), actor(), {}
    for name, service in context.services.items():
        # A class without a period is kept, and named above.
        if not isinstance(service, Passing) or service.retention_class not in days:
            continue
        then = moment - timedelta(days=days[service.retention_class])

        def note(connection: Connection, count: int, name: str = name) -> None:
            record(connection, who, "retention.erase", name, moment, passed=count)

        erased[f"{name} counters"] = erase_counters(
            context.database, name, partial(_counter_is_over, service, then), note
        )
        erased[f"{name} resources"] = erase_resources(
            context.database, name, partial(_resource_is_over, service, then), note
        )
    return erased


def _erase_records(context: Context, over: Sequence[Over], *, erase_dormant: bool) -> list[dict[str, object]]:
    """What was erased of each class; of people who are dormant also who cannot be yet."""
    told: list[dict[str, object]] = []
    for one in over:
        values: dict[str, object] = {"class": one.record_class, "days": one.days, "due": one.due}
        if one.record_class == DORMANT:
            values |= _erase_dormant(context, one) if erase_dormant else {"erased": 0}
        else:
            values["erased"] = erase_records(context, one, context.now(), actor=actor()) if one.due else 0
        told.append(values)
    return told


def _erase_dormant(context: Context, one: Over) -> dict[str, object]:
    with context.database.reading() as connection:
        people = dormant(connection, one.days, context.now())
    kept: list[dict[str, str]] = []
    for holder in people:
        try:
            erase_cardholder(context, holder, actor=actor())
        except ErasureRefused as refused:
            kept.append({"cardholder": str(holder), "reason": refused.reason})
    return {"erased": len(people) - len(kept), "kept": kept}


def _counter_is_over(service: Passing, then: datetime, rule: str, period: str) -> bool:
    return service.counter_is_over(rule, period, then)


def _resource_is_over(service: Passing, then: datetime, key: str) -> bool:
    return service.resource_is_over(key, then)


def _erase(context: Context, one: Due) -> int:
    total, moment, who = 0, context.now(), actor()

    def note(connection: Connection, erased: int) -> None:
        # Numbers alone.
        record(connection, who, "retention.erase", one.retention_class, moment, details=erased)

    for erased in erase_due(context.database, one.retention_class, one.days or 0, moment, note):
        total += erased
        click.echo(f"{one.retention_class}: {total} of {one.due}", err=True)
    return total


def _of_class(one: Due, erased: int | None) -> str:
    if one.days is None:
        return f"{one.retention_class}: {one.kept} kept; NO PERIOD is set for it, see retention_days"
    done = f"{one.due} due" if erased is None else f"{erased} erased"
    return f"{one.retention_class}: {one.kept} kept for {one.days} days, {done}"


@click.group()
def keys() -> None:
    """The key that wraps cardholders' keys."""


@keys.command("show")
@json_option
@command
def keys_show(as_json: bool) -> None:
    """List its versions, and how many keys each wraps."""
    with opened() as context:
        values = _versions(context)
    _say_versions(values, as_json=as_json)


@keys.command("rewrap")
@click.option("--new-version", is_flag=True, help="Make a new version of the key first.")
@json_option
@command
def keys_rewrap(new_version: bool, as_json: bool) -> None:
    """Wrap every cardholder's key under the newest version, while the service runs; again, it goes on.

    What people are found by is made anew under it, too, and what lies in quarantine of no known card.
    """
    with opened() as context:
        ring = make_kek_version(context.keys) if new_version else context.keys.cardholder_kek
        total = 0
        while True:
            with context.database.begin() as connection:
                done = rewrap(connection, ring, _KEYS_AT_ONCE)
            if not done:
                break
            total += done
            click.echo(f"{total} wrapped anew", err=True)
        indexed = _index_anew(context, ring)
        held = _seal_held_anew(context, ring)
        with context.database.begin() as connection:
            record(
                connection,
                actor(),
                "keys.rewrap",
                f"version {ring.newest}",
                context.now(),
                keys=total,
                indexed=indexed,
                held=held,
            )
    with opened() as context:
        values = _versions(context)
    _say_versions(values, as_json=as_json)


def _index_anew(context: Context, ring: KeyRing) -> int:
    total = 0
    while True:
        with context.database.begin() as connection:
            done = index_some(connection, ring, _KEYS_AT_ONCE)
        if not done:
            return total
        total += done
        click.echo(f"{total} found by it", err=True)


def _seal_held_anew(context: Context, ring: KeyRing) -> int:
    total = 0
    after: int | None = 0
    while after is not None:
        with context.database.begin() as connection:
            done, after = seal_anew(connection, ring, after)
        total += done
    return total


def _versions(context: Context) -> list[dict[str, object]]:
    with context.database.reading() as connection:
        counts, held = wrapped_under(connection), sealed_under(connection)
    known = context.keys.cardholder_kek.versions
    return [
        {
            "version": version,
            "file": f"{kek_name(version)}.secret",
            "wraps": counts.get(version, 0),
            "seals": held.get(version, 0),
        }
        for version in sorted({*known, *counts, *held})
    ]


def _say_versions(values: list[dict[str, object]], *, as_json: bool) -> None:
    newest = values[-1]["version"]
    words = [
        f"version {one['version']}: wraps {one['wraps']} keys"
        + (f", seals {one['seals']} messages in quarantine" if one["seals"] else "")
        + ("" if one["wraps"] or one["seals"] or one["version"] == newest else _USELESS.format(one["file"]))
        for one in values
    ]
    say("\n".join(words), {"versions": values}, as_json=as_json)
