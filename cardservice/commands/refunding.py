"""Refunds: what was paid goes back to where it came from."""

import click

from cardservice.authorisation.refunding import Wish
from cardservice.authorisation.refunds import Refund, Refunded, preview
from cardservice.commands.common import (
    acting,
    command,
    identifier,
    json_option,
    minor_units,
    money,
    opened,
    say,
)
from cardservice.ids import TransactionId, new_id
from cardservice.staff.second_person import Asked
from cardservice.staff.small_refunds import give_within_limit


@click.command("refund")
@click.argument("transaction_id")
@click.option("--line", type=click.IntRange(1), help="Only this line of the receipt, the first is 1.")
@click.option("--amount", help="Only so much, such as 1.20; otherwise all that is left.")
@click.option("--preview", "only_shown", is_flag=True, help="Show what would be given back, and do nothing.")
@click.option("--id", "refund_id", help="The refund's own id: given again, it is given back once.")
@json_option
@command
def refund(
    transaction_id: str,
    line: int | None,
    amount: str | None,
    only_shown: bool,
    refund_id: str | None,
    as_json: bool,
) -> None:
    """Give back what a card paid, or a line or a part of it, to the sources it came from."""
    with opened() as context:
        currency = context.scheme.currency
        amount_minor = None if amount is None else minor_units(amount, currency)
        wish = Wish(TransactionId(identifier(transaction_id)), line, amount_minor)
        own_id = TransactionId(new_id() if refund_id is None else identifier(refund_id))
        asked = Refund(wish, own_id)
        if only_shown:
            done = preview(context, asked)
        else:
            given = give_within_limit(context, asked, acting())
            if isinstance(given, Asked):
                _say_waiting(given, currency, as_json=as_json)
                return
            done = given
    values = {
        "refund": None if only_shown else str(asked.id),
        "sale": str(wish.sale),
        "payer": str(done.payer_id),
        "amount_minor": done.amount_minor,
        "currency": currency,
        "preview": only_shown,
        "repeated": done.repeated,
        "transfers": [
            {
                "to": transfer.credit,
                "amount_minor": transfer.amount_minor,
                "net_minor": transfer.net_minor,
                "tax_minor": transfer.tax_minor,
            }
            for transfer in done.transfers
        ],
    }
    say("\n".join(_words(done, currency, only_shown=only_shown)), values, as_json=as_json)


def _say_waiting(kept: Asked, currency: str, *, as_json: bool) -> None:
    amount_minor: int = kept.detail["amount_minor"]
    words = f"{money(amount_minor, currency)} wait for a second person: "
    words += f"cardservice second-person agree {kept.id}"
    say(words, {"waits": str(kept.id), "amount_minor": amount_minor, "state": kept.state}, as_json=as_json)


def _words(done: Refunded, currency: str, *, only_shown: bool) -> list[str]:
    amount = money(done.amount_minor, currency)
    if done.repeated:
        return [f"{amount} had been given back already."]
    verb = "Would give" if only_shown else "Gave"
    return [
        f"{verb} back {amount}.",
        *(
            f"  {transfer.credit.removeprefix('payer:')}: {money(transfer.amount_minor, currency)}"
            for transfer in done.transfers
        ),
    ]
