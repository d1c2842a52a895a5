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
from cardservice.payments.noting import note_taken_back
from cardservice.payments.references import Reference
from cardservice.payments.taking_back import TakeBack


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
    """Note that some of a payment was given back to where it came from: up to its amount, and what there is.

    cardservice payment repay TRANSACTION 5.00. One that came through a provider is given back by `payment
    refund`; what was given back at the provider is noted by its name there:
    cardservice payment repay PAYMENT 5.00 --reference govuk-pay NAME
    """
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
    """Note that a bank has taken a payment back: what has been spent of it is owed.

    cardservice payment chargeback TRANSACTION 5.00. Of a payment through a provider name the dispute, under
    which it is posted once, whoever tells of it:
    cardservice payment chargeback PAYMENT 5.00 --reference govuk-pay NAME
    """
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
        posted = note_taken_back(context, wanted, actor=actor())
    values = {
        "transaction": str(posted.transaction) if posted.transaction else None,
        "payment": str(wanted.payment),
        "kind": kind,
        "amount_minor": posted.amount_minor,
        "currency": currency,
    }
    words = f"Took {money(posted.amount_minor, currency)} back: {posted.transaction or 'nothing was left'}."
    say(words, values, as_json=as_json)
