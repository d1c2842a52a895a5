"""The `pki` command: make a scheme, issue, revoke, publish, verify. The commands are in `pki.commands`."""

import click

from pki.cli_support import EXIT_STATUS
from pki.commands import discover


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"{EXIT_STATUS} With --json of verify and audit, standard output has its code, too.",
)
@click.version_option(package_name="citizen-card")
def main() -> None:
    """Keys and certificates of a citizen-card scheme."""


for _command in discover():
    main.add_command(_command)
