"""Cards: ordered, sent, put into use, suspended, reported, replaced and revoked."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.cardholders.guardians import May
from cardservice.cards import activation, life, many, personalisation
from cardservice.cards import service as cards
from cardservice.cards.finding import MAX_LISTED, list_cards
from cardservice.cards.personalisation import Delivery, Order
from cardservice.cards.states import CRL_REASONS, REPORTS, CardState
from cardservice.commands.asking import asked_by_option, asked_of, check_asker
from cardservice.commands.common import actor, command, identifier, json_option, opened, say
from cardservice.pki_store.store import DatabaseCertificateStore
from cardservice.staff.agreeing import ask_many_revoked
from pki.authority import Authority

# Of cards that are found to have expired in one transaction.
_AT_ONCE = 500
_by_post = click.option(
    "--by-post", is_flag=True, help="It is sent, and its holder activates it with a code."
)
_reason = click.option(
    "--reason", required=True, help="Why, on one line; it is kept with the card's history."
)


@click.group()
def card() -> None:
    """Cards, from the order to the end."""


@card.command("order")
@click.argument("cardholder_id")
@click.option("--kind", type=click.Choice(personalisation.KINDS), default="citizen", show_default=True)
@_by_post
@json_option
@command
def card_order(cardholder_id: str, kind: str, by_post: bool, as_json: bool) -> None:
    """Order a card for a cardholder; an issuing desk makes it.

    Nobody has two cards of a kind in use: of whoever has one, it is replaced (card replace).
    """
    with opened() as context, context.database.begin() as connection:
        order = personalisation.order_card(
            connection,
            identifier(cardholder_id),
            kind,
            delivery=_delivery(by_post),
            actor=actor(),
            moment=context.now(),
        )
    _say_order(order, as_json=as_json)


@card.command("replace")
@click.argument("card_id")
@_by_post
@json_option
@command
def card_replace(card_id: str, by_post: bool, as_json: bool) -> None:
    """Order the card that takes another's place.

    That one can be used until the new one is active, unless it was reported (card report). What the holder
    has is on the new card with that: money, limits, passes, loans.
    """
    with opened() as context, context.database.begin() as connection:
        order = personalisation.order_replacement(
            connection,
            identifier(card_id),
            delivery=_delivery(by_post),
            actor=actor(),
            moment=context.now(),
        )
    _say_order(order, as_json=as_json)


@card.command("list")
@click.option("--cardholder", "cardholder_id", help="Of this person alone.")
@click.option("--state", type=click.Choice([state.value for state in CardState]), help="In this state alone.")
@json_option
@command
def card_list(cardholder_id: str | None, state: str | None, as_json: bool) -> None:
    """List cards, the newest first; for example: card list --state dispatched."""
    holder = None if cardholder_id is None else identifier(cardholder_id)
    wanted = None if state is None else CardState(state)
    with opened() as context, context.database.reading() as connection:
        found = list_cards(connection, holder, wanted)
    values = [
        {
            "card": str(each.id),
            "cardholder": str(each.cardholder_id),
            "kind": each.kind,
            "state": each.state.value,
            "expires_on": each.expires_on.isoformat(),
        }
        for each in found
    ]
    lines = [f"{one['card']}  {one['kind']}  {one['state']}  until {one['expires_on']}" for one in values]
    if len(found) == MAX_LISTED:
        lines.append(f"There are more: these are {MAX_LISTED}.")
    say("\n".join(lines) or "There are none.", {"cards": values}, as_json=as_json)


@card.command("show")
@click.argument("card_id")
@json_option
@command
def card_show(card_id: str, as_json: bool) -> None:
    """Show a card's state and history; with --json its certificate, too."""
    with opened() as context, context.database.reading() as connection:
        known = cards.require_card(connection, identifier(card_id))
        issued = cards.card_certificate(DatabaseCertificateStore(connection), known.id)
        replaces = life.replaced_by(connection, known.id)
    history = [
        {"state": change.state.value, "valid_from": change.valid_from.isoformat(), "reason": change.reason}
        for change in known.states
    ]
    values = {
        "card": str(known.id),
        "kind": known.kind,
        "expires_on": known.expires_on.isoformat(),
        "state": known.state.value,
        "replaces": None if replaces is None else str(replaces),
        "history": history,
        "certificate": x509.load_der_x509_certificate(issued.der).public_bytes(Encoding.PEM).decode()
        if issued
        else None,
    }
    lines = [f"{known.id}: {known.state}, a {known.kind} card, until {known.expires_on}"]
    lines += [] if replaces is None else [f"  in place of {replaces}"]
    lines += [f"  {change['valid_from']}  {change['state']} ({change['reason']})" for change in history]
    say("\n".join(lines), values, as_json=as_json)


@card.command("dispatch")
@click.argument("card_id")
@json_option
@command
def card_dispatch(card_id: str, as_json: bool) -> None:
    """Send a card that was made to be sent, and print the code for its letter, which nothing tells again.

    Put the code into another envelope than the card. Of a card that was sent already it is a new code.
    """
    with opened() as context:
        code = activation.dispatch(context, identifier(card_id), actor=actor())
    values = {"card": card_id, "state": "dispatched", "code": code}
    say(f"Card {card_id} is sent. Its code, for a letter of its own: {code}", values, as_json=as_json)


@card.command("activate")
@click.argument("card_id")
@click.option("--code-file", type=click.File(), help="Its first line is the code; without it, you are asked.")
@json_option
@command
def card_activate(card_id: str, code_file: TextIO | None, as_json: bool) -> None:
    """Put a card that was sent into use, by the code of its letter.

    \b
    For example:
      cardservice card activate 0b3f… --code-file -
    """
    code = click.prompt("The code of the letter", err=True) if code_file is None else code_file.readline()
    with opened() as context:
        activation.activate(context, identifier(card_id), code, actor=actor())
    say(f"Card {card_id} is active.", {"card": card_id, "state": "active"}, as_json=as_json)


@card.command("suspend")
@click.argument("card_id")
@_reason
@json_option
@command
def card_suspend(card_id: str, reason: str, as_json: bool) -> None:
    """Let a card rest: it is refused until it is released, and its certificates are on hold."""
    _change(card_id, life.suspend, reason=reason)
    say(f"Card {card_id} is suspended.", {"card": card_id, "state": "suspended"}, as_json=as_json)


@card.command("release")
@click.argument("card_id")
@_reason
@json_option
@command
def card_release(card_id: str, reason: str, as_json: bool) -> None:
    """Let a suspended card be used again."""
    _change(card_id, life.release, reason=reason)
    say(f"Card {card_id} is active.", {"card": card_id, "state": "active"}, as_json=as_json)


@card.command("report")
@click.argument("card_id")
@click.argument("what", type=click.Choice([each.value for each in REPORTS]))
@_reason
@asked_by_option
@json_option
@command
def card_report(card_id: str, what: str, reason: str, asked_by: str | None, as_json: bool) -> None:
    """Note that a card is lost, stolen, damaged or withdrawn; it is revoked with that, for good.

    \b
    For example:
      cardservice card report 0b3f… lost --reason "told by telephone, left on the bus"
    """
    _change(card_id, life.report, CardState(what), reason=reason, asked_by=asked_by)
    values = {"card": card_id, "state": "revoked", "reported": what}
    say(f"Card {card_id} is {what}, and revoked.", values, as_json=as_json)


@card.command("revoke")
@click.argument("card_id")
@click.option("--reason", type=click.Choice(sorted(CRL_REASONS)), required=True)
@json_option
@command
def card_revoke(card_id: str, reason: str, as_json: bool) -> None:
    """Revoke a card for good; its next tap is refused, and a fresh revocation list names it."""
    _change(card_id, cards.revoke_card, reason=reason)
    say(f"Card {card_id} is revoked.", {"card": card_id, "state": "revoked"}, as_json=as_json)


@card.command("revoke-many")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--reason", type=click.Choice(sorted(CRL_REASONS)), required=True)
@json_option
@command
def card_revoke_many(file: Path, reason: str, as_json: bool) -> None:
    """Ask for many cards to be revoked: FILE names them, one a line. Somebody else has to agree.

    \b
    For example:
      cardservice card revoke-many stolen-from-the-van.txt --reason stolen
      cardservice second-person agree 0197…              # another person
    """
    found = many.read_list(file)
    with opened() as context, context.database.begin() as connection:
        asked = ask_many_revoked(connection, found, reason, actor=actor(), moment=context.now())
    words = f"{len(found)} cards wait for a second person: cardservice second-person agree {asked.id}"
    say(words, {"id": str(asked.id), "cards": len(found), "state": asked.state}, as_json=as_json)


@card.command("expire")
@click.option("--dry-run", is_flag=True, help="Say how many, and change nothing.")
@json_option
@command
def card_expire(dry_run: bool, as_json: bool) -> None:
    """Say of each card whose last day is over that it has expired. Run it nightly."""
    count = 0
    with opened() as context:
        today = context.today()
        while not dry_run:
            with context.database.begin() as connection:
                found = life.expired(connection, today, _AT_ONCE)
                for each in found:
                    life.expire(connection, each, actor=actor(), moment=context.now())
            count += len(found)
            if not found:
                break
        if dry_run:
            with context.database.reading() as connection:
                count = life.count_expired(connection, today)
    words = f"{count} cards are over." if dry_run else f"{count} cards have expired."
    say(words, {"cards": count, "dry_run": dry_run}, as_json=as_json)


def _change(
    card_id: str, change: Callable[..., None], *more: Any, reason: str, asked_by: str | None = None
) -> None:
    """One step of a card's life, in a transaction of its own."""
    known: UUID = identifier(card_id)
    with opened() as context, asked_of(context, known) as connection:
        authority: Authority = context.authority(cards.AUTHORITY, connection)
        if asked_by is not None:
            holder = cards.require_card(connection, known).cardholder_id
            check_asker(context, connection, holder, asked_by, May.REPORT_LOSS)
        moment: datetime = context.now()
        change(connection, authority, known, *more, reason=reason, actor=actor(), moment=moment)


def _delivery(by_post: bool) -> Delivery:
    return Delivery.POST if by_post else Delivery.DESK


def _say_order(order: Order, *, as_json: bool) -> None:
    values = {"order": str(order.id), "card": str(order.card_id)}
    say(f"Order {order.id} for card {order.card_id}", values, as_json=as_json)
