"""The console script `kiosk`: the faces of a terminal, and the demonstration."""

import sys

import click

from kiosk.commands import run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="citizen-card")
def main() -> None:
    """The faces of a terminal: pages for the browser on the same machine."""


@main.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)
@click.pass_context
def demo(context: click.Context) -> None:
    """The whole platform on one machine, with software cards; `kiosk demo --help` says more."""
    from kiosk.demo import launcher  # noqa: PLC0415 -- no other command needs it

    sys.argv[1:] = context.args
    launcher.main()


main.add_command(run)
