"""Payments taken back: repaid to where they came from, or charged back by the payer's bank."""

from typing import Literal

import click

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
from cardservice.ids import TransactionId, new_id
from cardservice.payments.references import Reference
from cardservice.payments.taking_back import TakeBack, take_payment_back


@click.group()
def payment() -> None:
    """What was paid in, and goes back."""


@payment.command("repay")
@click.argument("transaction_id")
@click.argument("amount")
@click.option("--reference", nargs=2, metavar="PROVIDER REFERENCE", help="What its provider calls it.")
@click.option("--id", "own_id", help="The repayment's own id: given again, it is repaid once.")
@json_option
@command
def payment_repay(
    transaction_id: str, amount: str, reference: tuple[str, str] | None, own_id: str | None, as_json: bool
) -> None:
    """Give some of a payment back to where it came from: up to its amount, and of what there is to spend."""
    _take_back("repayment", transaction_id, amount, reference, own_id, as_json=as_json)


@payment.command("chargeback")
@click.argument("transaction_id")
@click.argument("amount")
@click.option("--reference", nargs=2, metavar="PROVIDER REFERENCE", help="What its provider calls it.")
@click.option("--id", "own_id", help="The chargeback's own id: given again, it is taken back once.")
@json_option
@command
def payment_chargeback(
    transaction_id: str, amount: str, reference: tuple[str, str] | None, own_id: str | None, as_json: bool
) -> None:
    """Take note that a bank has taken a payment back: what has been spent of it is owed."""
    _take_back("chargeback", transaction_id, amount, reference, own_id, as_json=as_json)


def _take_back(
    kind: Literal["repayment", "chargeback"],
    transaction_id: str,
    amount: str,
    reference: tuple[str, str] | None,
    own_id: str | None,
    *,
    as_json: bool,
) -> None:
    with opened() as context:
        currency = context.scheme.currency
        wanted = TakeBack(
            TransactionId(identifier(transaction_id)),
            minor_units(amount, currency),
            kind,
            TransactionId(new_id() if own_id is None else identifier(own_id)),
            None if reference is None else Reference(*reference),
        )
        posted = take_payment_back(context, wanted, actor=actor())
    values = {
        "transaction": str(posted),
        "payment": str(wanted.payment),
        "kind": kind,
        "amount_minor": wanted.amount_minor,
        "currency": currency,
    }
    say(f"Took {money(wanted.amount_minor, currency)} back: {posted}.", values, as_json=as_json)
