"""The tables: brought up and down, and divided over a cluster."""

import click
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import OperationalError

from cardservice.commands.common import Failure, command, json_option, say
from cardservice.config import keys_secret_of, load_settings
from cardservice.keys import find_kek
from cardservice.ledger.distributing import SHARDS, distribute
from cardservice.migrations.runner import migrate, stands_at
from cardservice.setup import upgrade
from pki.cli_support import examples


@click.command(
    "migrate",
    epilog=examples(
        "cardservice migrate --show",
        "cardservice migrate",
        "cardservice migrate --to 0029 --down   # back, after a backup",
    ),
)
@click.option("--to", "revision", default="head", help='Such as 0018, or "base"; otherwise the newest.')
@click.option("--down", is_flag=True, help="Also to an older one: what it does not know is deleted for good.")
@click.option("--show", is_flag=True, help="Only say where the tables are.")
@json_option
@command
def migrate_command(revision: str, down: bool, show: bool, as_json: bool) -> None:
    """Bring the tables to a revision, as their owner, in one transaction, and grant the service its rights.

    The service may go on serving while it is upgraded; a statement that would wait for longer than some
    seconds for a table in use gives up, and nothing is changed.
    """
    settings = load_settings()
    before = stands_at(settings.owner_database_url)
    if not show:
        is_older = revision not in before.newer and revision not in {"head", before.current}
        if is_older and not down:
            raise Failure(f"{revision} is older than {before.current}, or unknown; --down goes there")
        kek = find_kek(settings.pki_dir, keys_secret_of(settings))
        try:
            if revision == "head":
                upgrade(settings, kek)
            else:
                migrate(settings.owner_database_url, revision, kek)
        except OperationalError as error:
            raise Failure("a table is in use for too long, or the database is away; try again") from error
    found = stands_at(settings.owner_database_url)
    words = (
        f"The tables are at revision {found.current or 'base'}; newer: {', '.join(found.newer) or 'none'}."
    )
    say(
        words,
        {"before": before.current, "current": found.current, "newer": list(found.newer)},
        as_json=as_json,
    )


@click.command("distribute")
@click.option(
    "--shards",
    type=click.IntRange(2, 128),
    default=SHARDS,
    show_default=True,
    help="In how many parts: two to four for each node, those to come among them.",
)
@json_option
@command
def distribute_command(shards: int, as_json: bool) -> None:
    """Divide the ledger over a Citus cluster's nodes, while the service is stopped; see docs/operations.md.

    The owner's address must be a superuser's on the coordinator, with Citus and the nodes added.
    """
    settings = load_settings()
    engine = create_engine(make_url(settings.owner_database_url).set(drivername="postgresql+psycopg"))
    try:
        done = distribute(engine, shards)
    finally:
        engine.dispose()
    upgrade(settings)
    words = "The ledger is divided." if done else "The ledger was divided already."
    say(words, {"done": done}, as_json=as_json)
