"""The console script `reader-agent`."""

from pathlib import Path

import click

from pki.lazy_commands import LazyGroup

# Each command and its module, which is imported when the command is called.
_COMMANDS = {
    "init": "reader_agent.commands.setting_up",
    "enrol": "reader_agent.commands.setting_up",
    "renew": "reader_agent.commands.setting_up:renew_certificate",
    "personalise": "reader_agent.commands.issuing",
    "quote": "reader_agent.commands.cards",
    "tap": "reader_agent.commands.cards",
    "run": "reader_agent.commands.running",
    "sync": "reader_agent.commands.telling",
    "outbox": "reader_agent.commands.telling",
    "doctor": "reader_agent.commands.setting_up",
    "readers": "reader_agent.commands.looking:list_readers",
    "watch": "reader_agent.commands.looking",
    "conformance": "reader_agent.commands.conforming",
    "status": "reader_agent.commands.uids",
    "info": "reader_agent.commands.holder",
    "pin": "reader_agent.commands.holder",
    "sign": "reader_agent.commands.holder",
    "staff-card": "reader_agent.commands.staff:staff_card",
    "virtual-card": "reader_agent.virtual_card.cli",
    "virtual-readers": "reader_agent.virtual_card.readers_cli",
}


@click.group(cls=LazyGroup, modules=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="citizen-card")
@click.option(
    "--traffic-log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="note what is sent to cards in this file, without PINs, keys and what is about persons",
)
def main(**_: object) -> None:
    """Read cards, have them pay, and tell the card service."""
