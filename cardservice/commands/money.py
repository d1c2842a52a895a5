"""Money: paying in, and balances."""

import click

from cardservice.audit.service import record
from cardservice.cardholders.guardians import May
from cardservice.cardholders.service import require_cardholder
from cardservice.commands.asking import asked_by_option, asked_of, check_asker
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
from cardservice.ids import CardholderId, TransactionId
from cardservice.ledger.values import AccountView
from cardservice.payments.service import METHODS, TopUp, accounts_of, top_up


@click.command("topup")
@click.argument("cardholder_id")
@click.argument("amount")
@click.option(
    "--method", type=click.Choice(METHODS), default="cash", show_default=True, help="How it was paid."
)
@click.option("--id", "transaction_id", help="The payment's own id: given again, it is paid in once.")
@asked_by_option
@json_option
@command
def topup(
    cardholder_id: str,
    amount: str,
    method: str,
    transaction_id: str | None,
    asked_by: str | None,
    as_json: bool,
) -> None:
    """Pay money in for a cardholder, such as 20.00; it settles arrears first."""
    with opened() as context:
        with asked_of(context, identifier(cardholder_id)) as connection:
            holder = require_cardholder(connection, identifier(cardholder_id))
            check_asker(context, connection, holder, asked_by, May.PAY)
        minor = minor_units(amount, context.scheme.currency)
        paid = TopUp(holder, minor, method)
        if transaction_id is not None:
            paid = TopUp(holder, minor, method, TransactionId(identifier(transaction_id)))
        accounts = top_up(context, paid, actor=actor())
    _say_accounts(accounts, {"transaction": str(paid.id)}, as_json=as_json)


@click.command("balance")
@click.argument("cardholder_id")
@json_option
@command
def balance(cardholder_id: str, as_json: bool) -> None:
    """Show what a cardholder can spend, and owes."""
    with opened() as context:
        with context.database.begin() as connection:
            holder = require_cardholder(connection, identifier(cardholder_id))
            record(connection, actor(), "payer.balance", holder, context.now())
        accounts = accounts_of(context, CardholderId(holder))
    _say_accounts(accounts, {}, as_json=as_json)


def _say_accounts(accounts: tuple[AccountView, ...], more: dict[str, object], *, as_json: bool) -> None:
    values = [
        {"account": account.name, "unit": account.unit, "amount_minor": account.balance}
        for account in accounts
    ]
    words = [
        f"{account.name.removeprefix('payer:')}: {money(account.balance, account.unit)}"
        for account in accounts
    ]
    say("\n".join(words), {**more, "accounts": values}, as_json=as_json)
