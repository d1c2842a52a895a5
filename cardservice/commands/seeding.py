"""An example town, for trying out."""

import click

from cardservice.commands.common import command, json_option, money, opened, say
from cardservice.seeding import MOST_PEOPLE, seed
from cardservice.staff.acting import operator
from pki.cli_support import examples


@click.command(
    "seed",
    epilog=examples(
        "cardservice init --currency GBP --timezone Europe/London",
        "cardservice seed --people 30",
        "cardservice cardholder find Ada",
    ),
)
@click.option(
    "--people",
    type=click.IntRange(1, MOST_PEOPLE),
    default=12,
    show_default=True,
    help="How many; every third is a child.",
)
@json_option
@command
def seed_command(people: int, as_json: bool) -> None:
    """Fill a new service with an example town: providers, a tariff, people, orders for cards, and money.

    Nobody in it is real. In development alone, where nobody is registered yet: all of it, or nothing.
    """
    with opened() as context:
        made = seed(context, people, actor=operator())
        currency = context.scheme.currency
    values = {
        "providers": list(made.providers),
        "tariff": made.tariff,
        "people": [
            {"cardholder": str(holder), "name": name, "payer": str(payer)}
            for holder, (name, payer) in made.people.items()
        ],
        "orders": list(made.orders),
        "paid_in_minor": made.paid_in_minor,
        "currency": currency,
    }
    words = [f"Providers: {', '.join(made.providers)}.", f"Tariff of leisure: {made.tariff}."]
    words += [f"{holder}  {name}" for holder, (name, _) in made.people.items()]
    words += [f"{len(made.orders)} cards are ordered; {money(made.paid_in_minor, currency)} was paid in."]
    say("\n".join(words), values, as_json=as_json)
