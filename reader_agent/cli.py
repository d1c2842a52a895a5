"""The console script `reader-agent`."""

from pathlib import Path

import click

from reader_agent.commands.cards import quote, tap
from reader_agent.commands.conforming import conformance
from reader_agent.commands.holder import info, pin, sign
from reader_agent.commands.issuing import personalise
from reader_agent.commands.looking import list_readers, watch
from reader_agent.commands.running import run
from reader_agent.commands.setting_up import doctor, enrol, init
from reader_agent.commands.telling import outbox, sync
from reader_agent.virtual_card.cli import virtual_card
from reader_agent.virtual_card.readers_cli import virtual_readers


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="citizen-card")
@click.option(
    "--traffic-log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="note what is sent to cards in this file, without PINs, keys and what is about persons",
)
def main(**_: object) -> None:
    """Read cards, have them pay, and tell the card service."""


for command in (
    init,
    enrol,
    personalise,
    quote,
    tap,
    run,
    sync,
    outbox,
    doctor,
    list_readers,
    watch,
    conformance,
    info,
    pin,
    sign,
    virtual_card,
    virtual_readers,
):
    main.add_command(command)
