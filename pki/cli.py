"""The `pki` command: make a scheme, issue, revoke, publish, verify. The commands are in `pki.commands`."""

import click

from pki.commands import discover


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done; 1 it could not be done, or what was checked does not hold: a sentence on "
    "standard error says what (with --json of verify and audit, standard output its code); 2 a wrong call.",
)
@click.version_option(package_name="citizen-card")
def main() -> None:
    """Keys and certificates of a citizen-card scheme."""


for _command in discover():
    main.add_command(_command)
