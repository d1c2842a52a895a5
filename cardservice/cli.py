"""`cardservice`: the service's command line."""

import click

from cardservice.commands.authorities import pki
from cardservice.commands.closing import ledger
from cardservice.commands.holders import cardholder
from cardservice.commands.inspecting import proof, security
from cardservice.commands.issuing import card, terminal
from cardservice.commands.limits import limit
from cardservice.commands.money import balance, load, topup
from cardservice.commands.people import payer, provider
from cardservice.commands.running import init, serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="citizen-card")
def main() -> None:
    """The ledger service of a citizen-card scheme."""


for _command in (
    init,
    serve,
    load,
    provider,
    cardholder,
    payer,
    card,
    terminal,
    topup,
    balance,
    limit,
    proof,
    ledger,
    security,
    pki,
):
    main.add_command(_command)
