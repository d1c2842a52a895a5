"""`cardservice`: the service's command line."""

from pathlib import Path

import click

from cardservice.commands.examples import illustrate
from cardservice.staff.options import AS, KEY
from pki.lazy_commands import LazyGroup

# Each command and its module, which is imported when the command is called.
_COMMANDS = {
    "init": "cardservice.commands.running",
    "migrate": "cardservice.commands.schema:migrate_command",
    "distribute": "cardservice.commands.schema:distribute_command",
    "seed": "cardservice.commands.seeding:seed_command",
    "serve": "cardservice.commands.running",
    "worker": "cardservice.commands.running",
    "load": "cardservice.commands.tariffs",
    "tariff": "cardservice.commands.tariffs",
    "provider": "cardservice.commands.people",
    "cardholder": "cardservice.commands.guardians",
    "payer": "cardservice.commands.payers",
    "application": "cardservice.commands.applying",
    "card": "cardservice.commands.stopping",
    "stock": "cardservice.commands.stocking",
    "bureau": "cardservice.commands.bureaux",
    "account": "cardservice.commands.accounts",
    "import": "cardservice.commands.importing",
    "terminal": "cardservice.commands.terminals",
    "topup": "cardservice.commands.money",
    "payment": "cardservice.commands.paying",
    "settlement": "cardservice.commands.settling",
    "concession": "cardservice.commands.claiming",
    "funding": "cardservice.commands.funding",
    "kitchen": "cardservice.commands.kitchen",
    "refund": "cardservice.commands.refunding",
    "balance": "cardservice.commands.money",
    "limit": "cardservice.commands.limits",
    "service": "cardservice.commands.switching",
    "retention": "cardservice.commands.erasing",
    "keys": "cardservice.commands.erasing",
    "transaction": "cardservice.commands.transactions",
    "proof": "cardservice.commands.inspecting",
    "recovery": "cardservice.commands.recovering",
    "ledger": "cardservice.commands.partitioning",
    "library": "cardservice.commands.lending",
    "sip2": "cardservice.commands.sip2",
    "security": "cardservice.commands.inspecting",
    "quarantine": "cardservice.commands.quarantine",
    "advices": "cardservice.commands.telling",
    "pki": "cardservice.commands.authorities",
    "staff": "cardservice.commands.staff",
    "audit": "cardservice.commands.auditing",
    "second-person": "cardservice.commands.agreeing:second_person_group",
}


class _Illustrated(LazyGroup):
    """Shows an example with each command."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See click."""
        found = super().get_command(ctx, cmd_name)
        return None if found is None else illustrate(found, cmd_name)


@click.group(cls=_Illustrated, modules=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="citizen-card")
@click.option(
    "--as",
    "staff",
    metavar="NAME",
    envvar=AS,
    show_envvar=True,
    help="Whose account of staff this is done with.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=KEY,
    show_envvar=True,
    help="The private key of their certificate, which shows it.",
)
def main(**_: object) -> None:
    """The ledger service of a citizen-card scheme."""
    # `common.opened` reads the options, once it is known what is to be done.
