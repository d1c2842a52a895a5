"""What a kitchen asks: orders to cook, the totals of a day, and who ate what is recalled."""

from datetime import datetime

import click

from cardservice.commands.common import actor, command, json_option, money, opened, say
from cardservice.kitchen.service import eaters_of, orders_of, totals_of
from cardservice.kitchen.service import kitchen as kitchen_of

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def kitchen() -> None:
    """What is cooked, sold and eaten."""


@kitchen.command("orders")
@click.argument("service_name", metavar="SERVICE")
@click.argument("day", type=_DAY)
@json_option
@command
def kitchen_orders(service_name: str, day: datetime, as_json: bool) -> None:
    """Say how many of what were ordered for DAY, and how many have been collected.

    \b
      cardservice kitchen orders meals 2026-09-07
    """
    with opened() as context, context.database.reading() as connection:
        orders = orders_of(connection, kitchen_of(context, service_name), day.date())
    values = [
        {
            "service": each.dish.service,
            "item": each.dish.item,
            "ordered": each.ordered,
            "collected": each.collected,
        }
        for each in orders
    ]
    lines = [
        f"{each.dish.service}: {each.dish.item}: {each.ordered}, of which {each.collected} collected"
        for each in orders
    ]
    say("\n".join(lines) or "Nothing was ordered.", {"orders": values}, as_json=as_json)


@kitchen.command("sold")
@click.argument("service_name", metavar="SERVICE")
@click.argument("day", type=_DAY)
@json_option
@command
def kitchen_sold(service_name: str, day: datetime, as_json: bool) -> None:
    """Say what each service of DAY came to, without names.

    \b
      cardservice kitchen sold meals 2026-09-07
    """
    with opened() as context, context.database.reading() as connection:
        currency = context.scheme.currency
        service = kitchen_of(context, service_name)
        found = totals_of(connection, service_name, service, day.date())
    lines = []
    for name, totals in found.items():
        sold = f"sales {totals.sales}, of which {totals.offline} offline"
        amounts = (
            f"{money(totals.amount_minor, currency)}, given back {money(totals.given_back_minor, currency)}"
        )
        lines.append(f"{name}: {sold}: {amounts}; served anyway {totals.served_anyway}")
        lines += [f"  {item}: {count}" for item, count in sorted(totals.items.items())]
        lines += [f"  declined, {reason}: {count}" for reason, count in sorted(totals.declined.items())]
    values = {"services": {name: totals.to_json() for name, totals in found.items()}, "currency": currency}
    say("\n".join(lines) or "Nothing was sold.", values, as_json=as_json)


@kitchen.command("recall")
@click.argument("service_name", metavar="SERVICE")
@click.argument("item")
@click.argument("first", type=_DAY)
@click.argument("last", type=_DAY)
@click.option("--recipe", help="Of this version of the recipe alone.")
@json_option
@command
def kitchen_recall(
    service_name: str, item: str, first: datetime, last: datetime, recipe: str | None, as_json: bool
) -> None:
    """List who bought ITEM from FIRST to LAST, for a recall.

    It needs the right to see names, and that you asked is written to the audit log.

    \b
      cardservice kitchen recall meals pasta 2026-09-01 2026-09-07
    """
    with opened() as context:
        days = first.date(), last.date()
        eaters = eaters_of(context, service_name, item, *days, recipe=recipe, actor=actor())
    values = [
        {
            "cardholder": str(each.cardholder),
            "name": each.name,
            "form": each.form,
            "day": each.portions.dish.day.isoformat(),
            "service": each.portions.dish.service,
            "quantity": each.portions.quantity,
            "recipe": each.portions.recipe,
        }
        for each in eaters
    ]
    lines = [
        f"{each.portions.dish.day}  {each.portions.dish.service}  {each.portions.quantity}"
        f"  {each.cardholder}  {each.name}  {each.form}"
        for each in eaters
    ]
    say("\n".join(lines) or "Nobody bought it.", {"eaters": values}, as_json=as_json)
