"""`cardservice`: the service's command line."""

import click

from cardservice.commands.authorities import pki
from cardservice.commands.erasing import cardholder, keys, retention
from cardservice.commands.inspecting import proof, security
from cardservice.commands.issuing import card
from cardservice.commands.limits import limit
from cardservice.commands.money import balance, load, topup
from cardservice.commands.payers import payer
from cardservice.commands.paying import payment
from cardservice.commands.people import provider
from cardservice.commands.proving import ledger
from cardservice.commands.quarantine import quarantine
from cardservice.commands.refunding import refund
from cardservice.commands.running import init, serve, worker
from cardservice.commands.settling import settlement
from cardservice.commands.switching import service
from cardservice.commands.telling import advices
from cardservice.commands.terminals import terminal
from cardservice.commands.transactions import transaction


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="citizen-card")
def main() -> None:
    """The ledger service of a citizen-card scheme."""


for _command in (
    init,
    serve,
    worker,
    load,
    provider,
    cardholder,
    payer,
    card,
    terminal,
    topup,
    payment,
    settlement,
    refund,
    balance,
    limit,
    service,
    retention,
    keys,
    transaction,
    proof,
    ledger,
    security,
    quarantine,
    advices,
    pki,
):
    main.add_command(_command)
