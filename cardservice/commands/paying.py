"""Payments through a provider: begun, shown, given back, and what of them needs a person."""

from datetime import datetime
from zoneinfo import ZoneInfo

import click

from cardservice.cardholders.service import require_cardholder
from cardservice.commands.common import (
    actor,
    command,
    identifier,
    json_option,
    minor_units,
    money,
    opened,
    say,
)
from cardservice.commands.payments import payment
from cardservice.ids import CardholderId, PayerId, TransactionId, new_id
from cardservice.payments import attempts
from cardservice.payments.comparing import adopt, compare
from cardservice.payments.giving_back import give_back
from cardservice.payments.matters import KINDS, close_matter, matters
from cardservice.payments.polling import provider_of, require_provider_of
from cardservice.payments.redeeming import approve, redeem
from cardservice.payments.taking_back import TakeBack

__all__ = ["payment"]

id_option = click.option("--id", "own_id", help="Its own id: given again, it is done once.")


def _own(own_id: str | None) -> TransactionId:
    return TransactionId(new_id() if own_id is None else identifier(own_id))


def _values(attempt: attempts.Attempt) -> dict[str, object]:
    return {
        "payment": str(attempt.id),
        "payer": str(attempt.payer_id),
        "provider": attempt.provider,
        "provider_payment": attempt.provider_payment,
        "state": attempt.state,
        "amount_minor": attempt.amount_minor,
        "currency": attempt.unit,
        "begun_at": attempt.begun_at.isoformat(),
    }


def _words(attempt: attempts.Attempt) -> str:
    amount = money(attempt.amount_minor, attempt.unit)
    return f"{attempt.id}  {attempt.begun_at:%Y-%m-%d %H:%M}  {amount:>14}  {attempt.state}"


@payment.command("start")
@click.argument("cardholder_id")
@click.argument("amount")
@click.option("--return-url", required=True, help="Where the provider sends the person back to.")
@id_option
@json_option
@command
def payment_start(
    cardholder_id: str, amount: str, return_url: str, own_id: str | None, as_json: bool
) -> None:
    """Begin a payment, and say where to pay: cardservice payment start CARDHOLDER 20.00 --return-url URL."""
    with opened() as context:
        with context.database.reading() as connection:
            holder = require_cardholder(connection, identifier(cardholder_id))
        minor = minor_units(amount, context.scheme.currency)
        wanted = attempts.Start(CardholderId(holder), minor, _own(own_id), return_url)
        begun, next_url = attempts.start(
            context, require_provider_of(context.settings), wanted, actor=actor()
        )
    words = _words(begun) + (f"\nPay at {next_url}" if next_url else "")
    say(words, {**_values(begun), "next_url": next_url}, as_json=as_json)


@payment.command("show")
@click.argument("payment_id")
@json_option
@command
def payment_show(payment_id: str, as_json: bool) -> None:
    """Ask the provider how a payment is, and post it if it has been captured."""
    with opened() as context:
        found = attempts.refresh(
            context, require_provider_of(context.settings), TransactionId(identifier(payment_id))
        )
    say(_words(found), _values(found), as_json=as_json)


@payment.command("list")
@click.option("--payer", "payer_id", help="Of this payer alone.")
@json_option
@command
def payment_list(payer_id: str | None, as_json: bool) -> None:
    """List the newest hundred payments, as they are known here."""
    with opened() as context, context.database.reading() as connection:
        payer = None if payer_id is None else PayerId(identifier(payer_id))
        found = attempts.attempts_of(connection, payer)
    words = "\n".join(map(_words, found)) or "No payments."
    say(words, {"payments": [_values(each) for each in found]}, as_json=as_json)


@payment.command("cancel")
@click.argument("payment_id")
@json_option
@command
def payment_cancel(payment_id: str, as_json: bool) -> None:
    """Give a payment up; one that has been captured meanwhile stays."""
    with opened() as context:
        wanted = TransactionId(identifier(payment_id))
        found = attempts.cancel(context, require_provider_of(context.settings), wanted, actor=actor())
    say(_words(found), _values(found), as_json=as_json)


@payment.command("refund")
@click.argument("payment_id")
@click.argument("amount")
@id_option
@json_option
@command
def payment_refund(payment_id: str, amount: str, own_id: str | None, as_json: bool) -> None:
    """Give some of a payment back by its provider: up to its amount, and of what there is to spend."""
    with opened() as context:
        minor = minor_units(amount, context.scheme.currency)
        wanted = TakeBack(TransactionId(identifier(payment_id)), minor, id=_own(own_id))
        given = give_back(context, require_provider_of(context.settings), wanted, actor=actor())
        currency = context.scheme.currency
    values = {
        "refund": str(given.id),
        "payment": str(given.attempt_id),
        "state": given.state,
        "amount_minor": given.amount_minor,
        "currency": currency,
    }
    say(f"{given.id}: {money(given.amount_minor, currency)}, {given.state}.", values, as_json=as_json)


@payment.command("redeem")
@click.argument("payer_id")
@click.argument("amount", required=False)
@id_option
@json_option
@command
def payment_redeem(payer_id: str, amount: str | None, own_id: str | None, as_json: bool) -> None:
    """Give money back at par: an amount such as 20.00, or all. What no payment brought is a bank transfer."""
    with opened() as context:
        currency = context.scheme.currency
        minor = None if amount is None else minor_units(amount, currency)
        provider, payer = provider_of(context.settings), PayerId(identifier(payer_id))
        done = redeem(context, provider, payer, minor, own_id=_own(own_id), actor=actor())
    words = [f"{money(each.amount_minor, currency)} by refund {each.id}." for each in done.refunds]
    if done.payout:
        words.append(
            f"{money(done.payout_minor, currency)} by bank transfer {done.payout}: somebody else approves it."
        )
    values = {
        "payer": str(payer),
        "refunds": [{"refund": str(each.id), "amount_minor": each.amount_minor} for each in done.refunds],
        "payout": str(done.payout) if done.payout else None,
        "payout_minor": done.payout_minor,
        "currency": currency,
    }
    say("\n".join(words), values, as_json=as_json)


@payment.command("approve")
@click.argument("payout_id")
@json_option
@command
def payment_approve(payout_id: str, as_json: bool) -> None:
    """Approve a bank transfer that somebody else has asked for."""
    with opened() as context:
        wanted, currency = TransactionId(identifier(payout_id)), context.scheme.currency
        minor = approve(context, wanted, actor=actor())
    values = {"payout": str(wanted), "amount_minor": minor, "currency": currency}
    say(f"Transfer {money(minor, currency)}.", values, as_json=as_json)


@payment.command("compare")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    required=True,
    help="The day of the backup, or the day before.",
)
@json_option
@command
def payment_compare(since: datetime, as_json: bool) -> None:
    """After a restore: ask the provider for all payments since a day, and list those that are not known here.

    What is known is brought up to date. Say for whom each of the others was: `payment adopt`.

    cardservice payment compare --since 2026-05-03
    """
    with opened() as context:
        zone = ZoneInfo(context.scheme.timezone)
        found = compare(context, require_provider_of(context.settings), since.replace(tzinfo=zone))
        currency = context.scheme.currency
    words = [
        f"{found.told} payments, {len(found.unknown)} not known here, {found.failed} to be asked for again."
    ]
    words += [
        f"{each.reference}  {money(each.amount_minor, currency)}  {each.state}" for each in found.unknown
    ]
    values = {
        "told": found.told,
        "failed": found.failed,
        "unknown": [
            {
                "payment": each.reference,
                "provider_payment": each.payment,
                "amount_minor": each.amount_minor,
                "state": each.state,
            }
            for each in found.unknown
        ],
    }
    say("\n".join(words), values, as_json=as_json)


@payment.command("adopt")
@click.argument("payment_id")
@click.argument("cardholder_id")
@json_option
@command
def payment_adopt(payment_id: str, cardholder_id: str, as_json: bool) -> None:
    """Say for whom a payment was that a restore has lost, and post it if it was captured."""
    with opened() as context:
        with context.database.reading() as connection:
            holder = require_cardholder(connection, identifier(cardholder_id))
        wanted = TransactionId(identifier(payment_id))
        found = adopt(context, require_provider_of(context.settings), wanted, holder, actor=actor())
    say(_words(found), _values(found), as_json=as_json)


@payment.command("exceptions")
@json_option
@command
def payment_exceptions(as_json: bool) -> None:
    """List what needs a person; `payment close NUMBER --reason WHY` takes it off."""
    with opened() as context, context.database.reading() as connection:
        found = matters(connection)
    words = [
        f"{each.number}  {each.opened_at:%Y-%m-%d}  {each.subject}: {KINDS[each.kind]}" for each in found
    ]
    values = [
        {
            "number": each.number,
            "kind": each.kind,
            "subject": each.subject,
            "opened_at": each.opened_at.isoformat(),
        }
        for each in found
    ]
    say("\n".join(words) or "Nothing needs a person.", {"exceptions": values}, as_json=as_json)


@payment.command("close")
@click.argument("number", type=int)
@click.option("--reason", required=True, help="What was done.")
@json_option
@command
def payment_close(number: int, reason: str, as_json: bool) -> None:
    """Take what has been done off the list."""
    with opened() as context, context.database.begin() as connection:
        close_matter(connection, number, reason, context.now(), actor=actor())
    say(f"Closed {number}.", {"number": number}, as_json=as_json)
