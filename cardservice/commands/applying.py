"""Applications for cards: made, proofs seen, decided; and who is to be looked at again."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import click
from sqlalchemy import Connection

from cardservice.applications.applicants import add_applicant, by_settings
from cardservice.applications.eligibility import PROOFS, Visit
from cardservice.applications.proofs import Proof, due_by, end_proof, note_proof, proofs_of
from cardservice.applications.reviewing import FIRST, NotBacked, Resting, check_some
from cardservice.applications.service import (
    MAX_LISTED,
    STATES,
    Deciding,
    apply_for,
    approve,
    list_applications,
    objections,
    reason_of,
    refuse,
    require_application,
    withdraw,
)
from cardservice.audit.service import record
from cardservice.cardholders.service import require_cardholder
from cardservice.cards.personalisation import KINDS, Delivery
from cardservice.commands.common import actor, command, identifier, json_option, opened, say
from cardservice.context import Context

DAY = click.DateTime(["%Y-%m-%d"])
_kind = click.argument("kind", type=click.Choice(list(PROOFS)))


def deciding(context: Context) -> Deciding:
    """Who is at the keyboard, now, by the rules of this scheme."""
    return by_settings(context, actor())


@contextmanager
def _deciding() -> Iterator[tuple[Connection, Deciding]]:
    with opened() as context, context.database.begin() as connection:
        yield connection, deciding(context)


@click.group()
def application() -> None:
    """Who applies for which card, and what was decided."""


@application.command("add")
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--cardholder", "cardholder_id", help="Who has a record already (cardholder find).")
@click.option("--name", help="Who has none: it is made with the application.")
@click.option("--from", "first_day", type=DAY, help="The first day of a visit.")
@click.option("--until", "last_day", type=DAY, help="Its last day.")
@json_option
@command
def application_add(
    kind: str,
    cardholder_id: str | None,
    name: str | None,
    first_day: datetime | None,
    last_day: datetime | None,
    as_json: bool,
) -> None:
    """Note that somebody applies for a card; their record says more of them (cardholder born, address).

    \b
    For example:
      cardservice application add citizen --name "Morgan Reed"
      cardservice application add visitor --cardholder 0b3f… --from 2026-07-01 --until 2026-07-14
    """
    if (cardholder_id is None) is (name is None):
        raise click.UsageError("say --cardholder or --name")
    if (first_day is None) is not (last_day is None):
        raise click.UsageError("a visit has both, --from and --until")
    visit = None if first_day is None or last_day is None else Visit(first_day.date(), last_day.date())
    with opened() as context, context.database.begin() as connection:
        by = deciding(context)
        if name is None:
            holder = require_cardholder(connection, identifier(str(cardholder_id)))
        else:
            holder = add_applicant(connection, name, context.scheme.currency, by)
        made = apply_for(connection, by.noting(holder), kind, visit)
    values = {"application": str(made), "cardholder": str(holder), "kind": kind}
    say(f"Application {made} of {holder} for a {kind} card", values, as_json=as_json)


@application.command("list")
@click.option(
    "--state", type=click.Choice(STATES), default=STATES[0], show_default=True, help="Those in this state."
)
@json_option
@command
def application_list(state: str, as_json: bool) -> None:
    """List applications, the one that waits longest first; names are told by application show."""
    with opened() as context, context.database.reading() as connection:
        found = list_applications(connection, state)
    values = [
        {
            "application": str(each.id),
            "cardholder": str(each.cardholder_id),
            "kind": each.kind,
            "state": each.state,
            "applied_at": each.applied_at.isoformat(),
        }
        for each in found
    ]
    lines = [f"{one['applied_at']}  {one['application']}  {one['kind']}  {one['state']}" for one in values]
    if len(found) == MAX_LISTED:
        lines.append(f"There may be more: these are {MAX_LISTED}.")
    say("\n".join(lines) or "There are none.", {"applications": values}, as_json=as_json)


@application.command("show")
@click.argument("application_id")
@json_option
@command
def application_show(application_id: str, as_json: bool) -> None:
    """Show an application, the proofs that were seen, and all that stands against it now."""
    with _deciding() as (connection, by):
        known = require_application(connection, identifier(application_id))
        proofs = proofs_of(connection, by.kek, known.cardholder_id)
        against = objections(connection, by, known) if known.state == STATES[0] else ()
        reason = reason_of(connection, by.kek, known)
        record(connection, by.actor, "application.show", known.cardholder_id, by.moment)
    visit = known.visit
    values: dict[str, Any] = {
        "application": str(known.id),
        "cardholder": str(known.cardholder_id),
        "kind": known.kind,
        "state": known.state,
        "applied_at": known.applied_at.isoformat(),
        "first_day": None if visit is None else visit.first_day.isoformat(),
        "last_day": None if visit is None else visit.last_day.isoformat(),
        "card": None if known.card_id is None else str(known.card_id),
        "reason": reason,
        "against": list(against),
        "proofs": [_proof(each) for each in proofs],
    }
    lines = [f"{known.id}: {known.kind}, {known.state}, of {known.cardholder_id}"]
    lines += [f"  proof of {each.kind}: {each.reference}, {_until(each)}" for each in proofs]
    lines += [f"  stands against it: {each}" for each in against]
    lines += [] if reason is None else [f"  refused: {reason}"]
    say("\n".join(lines), values, as_json=as_json)


def _proof(each: Proof) -> dict[str, Any]:
    return {
        "proof": str(each.id),
        "cardholder": str(each.cardholder_id),
        "of": each.kind,
        "reference": each.reference,
        "seen_by": each.seen_by,
        "seen_at": each.seen_at.isoformat(),
        "review_on": None if each.review_on is None else each.review_on.isoformat(),
        "ended_at": None if each.ended_at is None else each.ended_at.isoformat(),
    }


def _until(each: Proof) -> str:
    if each.ended_at is not None:
        return "ended"
    return "for good" if each.review_on is None else f"until {each.review_on}"


@application.command("approve")
@click.argument("application_id")
@click.option("--category", help="What prices go by; without it, by the kind for who had no card.")
@click.option("--by-post", is_flag=True, help="The card is sent, and activated with a code.")
@json_option
@command
def application_approve(application_id: str, category: str | None, by_post: bool, as_json: bool) -> None:
    """Approve an application: the person is a cardholder with that, and the card is ordered."""
    delivery = Delivery.POST if by_post else Delivery.DESK
    with _deciding() as (connection, by):
        known = identifier(application_id)
        order = approve(connection, by, known, category=category, delivery=delivery)
    values = {"application": application_id, "order": str(order.id), "card": str(order.card_id)}
    say(f"Approved; order {order.id} for card {order.card_id}", values, as_json=as_json)


@application.command("refuse")
@click.argument("application_id")
@click.option("--reason", required=True, help="Why, on one line; the applicant is told.")
@json_option
@command
def application_refuse(application_id: str, reason: str, as_json: bool) -> None:
    """Refuse an application: application refuse ID --reason "the address is in another town"."""
    with _deciding() as (connection, by):
        refuse(connection, by, identifier(application_id), reason)
    say("Refused.", {"application": application_id, "state": "refused"}, as_json=as_json)


@application.command("withdraw")
@click.argument("application_id")
@json_option
@command
def application_withdraw(application_id: str, as_json: bool) -> None:
    """Note that the person does not want the card any more."""
    with _deciding() as (connection, by):
        withdraw(connection, by, identifier(application_id))
    say("Withdrawn.", {"application": application_id, "state": "withdrawn"}, as_json=as_json)


@application.command("proof", help=f"Note that a proof was seen: {', '.join(PROOFS)}. No copy is kept.")
@click.argument("cardholder_id")
@_kind
@click.option("--reference", required=True, help="What the document is called, such as passport ending 471.")
@click.option("--review-on", type=DAY, help="The first day on which it does not count any more.")
@json_option
@command
def application_proof(
    cardholder_id: str, kind: str, reference: str, review_on: datetime | None, as_json: bool
) -> None:
    """Note that a proof was seen; one of the same kind that stood before ends."""
    with _deciding() as (connection, by):
        holder = require_cardholder(connection, identifier(cardholder_id))
        day = None if review_on is None else review_on.date()
        noting = by.noting(holder)
        made = note_proof(connection, noting, kind, reference, day, older_from=by.older_from)
    values = {"proof": str(made), "cardholder": str(holder), "of": kind}
    say(f"Noted: proof {made} of {kind}", values, as_json=as_json)


@application.command("end-proof")
@click.argument("cardholder_id")
@_kind
@json_option
@command
def application_end_proof(cardholder_id: str, kind: str, as_json: bool) -> None:
    """Let a proof count no more; what it backs is found by application recheck."""
    with _deciding() as (connection, by):
        holder = require_cardholder(connection, identifier(cardholder_id))
        end_proof(connection, by.noting(holder), kind)
    say("It counts no more.", {"cardholder": str(holder), "of": kind}, as_json=as_json)


@application.command("due")
@click.argument("day", type=DAY)
@json_option
@command
def application_due(day: datetime, as_json: bool) -> None:
    """List the proofs that are to be looked at again by DAY: application due 2027-01-31."""
    with _deciding() as (connection, by):
        found = due_by(connection, by.kek, day.date(), actor=by.actor, moment=by.moment)
    lines = [f"{each.review_on}  {each.kind}  {each.reference}  {each.cardholder_id}" for each in found]
    say("\n".join(lines) or "None is due.", {"due": [_proof(each) for each in found]}, as_json=as_json)


@application.command("recheck")
@click.option("--suspend", "is_suspended", is_flag=True, help="Let the cards rest until somebody has looked.")
@click.option("--also-ordered", is_flag=True, help="With --suspend: those, too, that nobody applied for.")
@json_option
@command
def application_recheck(is_suspended: bool, also_ordered: bool, as_json: bool) -> None:
    """List the cards in use that would not be approved today, and why; also those that nobody applied for.

    Broken off, it goes on when it is run again. What has been looked at is released by card release.
    """
    with opened() as context:
        found = list(_rechecked(context, Resting(is_suspended, also_ordered)))
    values = [
        {
            "application": None if each.application_id is None else str(each.application_id),
            "cardholder": str(each.cardholder_id),
            "card": str(each.card_id),
            "against": list(each.reasons),
        }
        for each in found
    ]
    lines = [f"{each.card_id}  {'; '.join(each.reasons)}" for each in found]
    said = {"cards": values, "suspended": is_suspended}
    say("\n".join(lines) or "All of them would be.", said, as_json=as_json)


def _rechecked(context: Context, resting: Resting) -> Iterator[NotBacked]:
    by = deciding(context)
    after: UUID | None = FIRST
    while after is not None:
        found, after = check_some(context, by, after, resting)
        yield from found
