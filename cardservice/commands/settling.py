"""Settlement: what the bank has got, against what was posted."""

from pathlib import Path

import click

from cardservice.commands.common import actor, command, json_option, money, opened, say
from cardservice.payments.equation import equation
from cardservice.payments.govuk_pay import NAME
from cardservice.payments.settlement import load_settlement, match_again


@click.group()
def settlement() -> None:
    """What a payment provider has paid to the bank."""


@settlement.command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--provider", default=NAME, show_default=True, help="Whose file it is.")
@json_option
@command
def settlement_load(file: Path, provider: str, as_json: bool) -> None:
    """Load a provider's settlement file and match it; loaded again, nothing happens.

    Its columns are type,reference,settled_on,gross,fee,currency.
    """
    with opened() as context:
        loaded = load_settlement(context, provider, file.name, file.read_bytes(), actor=actor())
    states = ", ".join(f"{number} {state}" for state, number in sorted(loaded.states.items()))
    words = f"{'Loaded' if loaded.new else 'Already there:'} {loaded.lines} lines: {states or 'none'}."
    say(words, {"lines": loaded.lines, "new": loaded.new, "states": loaded.states}, as_json=as_json)


@settlement.command("match")
@json_option
@command
def settlement_match(as_json: bool) -> None:
    """Match what was unknown again, after payments have been posted."""
    with opened() as context:
        number = match_again(context)
    say(f"{number} more lines are known.", {"known": number}, as_json=as_json)


@settlement.command("report")
@json_option
@command
def settlement_report(as_json: bool) -> None:
    """The daily equation: bank = prepaid + card_value + in_transit; exit status 1 where it does not hold."""
    with opened() as context, context.database.reading() as connection:
        currency = context.scheme.currency
        values = equation(connection, currency).values()
    words = "\n".join(
        f"{name.removesuffix('_minor')}: {money(each, currency)}" for name, each in values.items()
    )
    say(words, {**values, "currency": currency}, as_json=as_json)
    if values["difference_minor"]:
        raise SystemExit(1)
