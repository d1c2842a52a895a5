"""Stock of blank cards: delivered, moved, spoiled, counted, and what is to be ordered."""

import click

from cardservice.blanks import service as blanks
from cardservice.blanks.service import By, Delivery
from cardservice.commands.common import actor, command, json_option, opened, say
from cardservice.context import Context
from cardservice.ids import TerminalId

_product = click.option("--product", required=True, help="The kind of blank, as its supplier calls it.")
_place = click.option("--place", required=True, help="Where, by its identifier (stock place).")
_count = click.option("--count", type=int, required=True, help="How many.")
_reason = click.option("--reason", required=True, help="Why, on one line; it is kept.")


@click.group()
def stock() -> None:
    """Blank cards, by place and kind."""


@stock.command("place")
@click.argument("place_id")
@click.option("--name", required=True, help="What people call it.")
@json_option
@command
def stock_place(place_id: str, name: str, as_json: bool) -> None:
    """Note a place that holds blanks under an identifier of your choice, such as town-hall."""
    with opened() as context, context.database.begin() as connection:
        blanks.add_place(connection, place_id, name, _by(context))
    say(f"{place_id} holds blanks.", {"place": place_id}, as_json=as_json)


@stock.command("receive")
@click.option("--supplier", required=True, help="Who has brought them.")
@_product
@_place
@_count
@click.option("--first", help="The lowest number on the blanks: digits, or a UID in hex.")
@click.option("--last", help="The highest one.")
@click.option("--note", default="", help="Such as the number of the delivery note.")
@json_option
@command
def stock_receive(
    supplier: str,
    product: str,
    place: str,
    count: int,
    first: str | None,
    last: str | None,
    note: str,
    as_json: bool,
) -> None:
    """Take a delivery in.

    \b
    For example:
      cardservice stock receive --supplier "Vale Cards" --product dual-8k --place town-hall \\
        --count 500 --first 8944000000001000 --last 8944000000001499
    """
    delivery = Delivery(supplier, product, count, first, last, note)
    with opened() as context, context.database.begin() as connection:
        made = blanks.receive(connection, delivery, place, _by(context))
    say(f"{count} of {product} lie at {place} now.", {"delivery": str(made), "count": count}, as_json=as_json)


@stock.command("move")
@_product
@click.option("--from", "source", required=True, help="Where they lie.")
@click.option("--to", "target", required=True, help="Where they come to.")
@_count
@click.option("--note", default="", help="Such as who carried them.")
@json_option
@command
def stock_move(product: str, source: str, target: str, count: int, note: str, as_json: bool) -> None:
    """Move blanks from one place to another."""
    with opened() as context, context.database.begin() as connection:
        blanks.move(connection, product, source, target, count, _by(context), note)
    values = {"from": source, "to": target, "count": count}
    say(f"{count} of {product} have moved to {target}.", values, as_json=as_json)


@stock.command("spoil")
@_product
@_place
@_count
@_reason
@json_option
@command
def stock_spoil(product: str, place: str, count: int, reason: str, as_json: bool) -> None:
    """Note that blanks are of no use any more."""
    with opened() as context, context.database.begin() as connection:
        blanks.spoil(connection, product, place, count, reason, _by(context))
    say(f"{count} of {product} are gone.", {"place": place, "count": count}, as_json=as_json)


@stock.command("count")
@_product
@_place
@click.option("--counted", type=int, required=True, help="How many lie there.")
@_reason
@json_option
@command
def stock_count(product: str, place: str, counted: int, reason: str, as_json: bool) -> None:
    """Note how many somebody has counted; the books say the same from then on."""
    with opened() as context, context.database.begin() as connection:
        found = blanks.take_stock(connection, product, place, counted, reason, _by(context))
    values = {"place": place, "expected": found.expected, "counted": counted, "difference": found.difference}
    say(f"Expected {found.expected}, counted {counted}: {found.difference:+d}.", values, as_json=as_json)


@stock.command("warn")
@_product
@_place
@click.option("--below", type=int, required=True, help="From this number downwards; 0: never.")
@json_option
@command
def stock_warn(product: str, place: str, below: int, as_json: bool) -> None:
    """Say from which number downwards more is to be ordered (stock show --low)."""
    with opened() as context, context.database.begin() as connection:
        blanks.warn_below(connection, product, place, below, _by(context))
    say(f"{place} is low below {below}.", {"place": place, "low_below": below}, as_json=as_json)


@stock.command("desk")
@click.argument("terminal_id")
@_product
@_place
@json_option
@command
def stock_desk(terminal_id: str, product: str, place: str, as_json: bool) -> None:
    """Let the cards that an issuing desk makes be taken from a place from now on."""
    with opened() as context, context.database.begin() as connection:
        blanks.supply_desk(connection, TerminalId(terminal_id), product, place, _by(context))
    say(f"{terminal_id} takes {product} from {place}.", {"terminal": terminal_id}, as_json=as_json)


@stock.command("show")
@click.option("--place", help="At this place alone.")
@click.option("--low", is_flag=True, help="Only what is to be ordered.")
@json_option
@command
def stock_show(place: str | None, low: bool, as_json: bool) -> None:
    """Show what lies where."""
    with opened() as context, context.database.reading() as connection:
        found = blanks.stock(connection, place, low=low)
    values = [
        {"place": each.place, "product": each.product, "count": each.count, "low": each.is_low}
        for each in found
    ]
    lines = [f"{each.place}  {each.product}  {each.count}{'  low' * each.is_low}" for each in found]
    say("\n".join(lines) or ("Nothing is low." if low else "Nothing."), {"stock": values}, as_json=as_json)


def _by(context: Context) -> By:
    return By(actor(), context.now())
