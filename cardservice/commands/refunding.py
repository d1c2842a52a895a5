"""Refunds: what was paid goes back to where it came from."""

import click

from cardservice.authorisation.refunding import Wish
from cardservice.authorisation.refunds import Refund, Refunded, give, preview
from cardservice.commands.common import (
    acting,
    actor,
    command,
    identifier,
    json_option,
    minor_units,
    money,
    opened,
    say,
)
from cardservice.context import Context
from cardservice.ids import TransactionId, new_id
from cardservice.staff import second_person

# Ours, in minor units, where the settings say nothing.
_LIMIT_OF_STAFF = 10_000


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
        if not only_shown and (limit := _limit(context)) is not None:
            planned = preview(context, asked)
            if planned.amount_minor > limit and not planned.repeated:
                _ask(context, asked, planned.amount_minor, as_json=as_json)
                return
        done = preview(context, asked) if only_shown else give(context, asked, actor=actor())
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


def _limit(context: Context) -> int | None:
    """What one person gives back alone, in minor units; None: whatever it is."""
    if context.settings.refund_limit_minor is not None:
        return context.settings.refund_limit_minor
    return None if acting().person is None else _LIMIT_OF_STAFF


def _ask(context: Context, asked: Refund, amount_minor: int, *, as_json: bool) -> None:
    """Keep a large refund until a second person agrees: of the amount that it is now."""
    wish = asked.wish
    detail = {
        "refund": str(asked.id),
        "sale": str(wish.sale),
        "line": wish.line,
        "amount_minor": amount_minor,
    }
    with context.database.begin() as connection:
        kept = second_person.ask(
            connection, second_person.REFUND, detail, actor=actor(), moment=context.now()
        )
    amount = money(amount_minor, context.scheme.currency)
    words = f"{amount} wait for a second person: cardservice second-person agree {kept.id}"
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
