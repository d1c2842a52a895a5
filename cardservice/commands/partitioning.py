"""The ledger by months: asked for by an operator, once."""

from datetime import UTC, datetime

import click
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import OperationalError

from cardservice.commands.common import Failure, command, json_option, say
from cardservice.commands.proving import ledger
from cardservice.config import load_settings
from cardservice.ledger.errors import CannotDivide
from cardservice.ledger.partitioning import Division, bound_after, division, partition

__all__ = ["ledger"]


@ledger.command("partition")
@click.option("--dry-run", is_flag=True, help="Only say how the ledger lies, and what would be done.")
@json_option
@command
def ledger_partition(dry_run: bool, as_json: bool) -> None:
    """Divide the ledger by months, as the tables' owner, while the service goes on; see docs/operations.md.

    Broken off, it is done again. Where it is done already it says how the ledger lies.
    """
    settings, moment = load_settings(), datetime.now(UTC)
    url = make_url(settings.owner_database_url)
    if url.get_backend_name() != "postgresql":
        raise CannotDivide("this ledger lies on SQLite; months are for PostgreSQL")
    engine = create_engine(url.set(drivername="postgresql+psycopg"))
    service = make_url(settings.database_url).username
    try:
        done = [] if dry_run else list(partition(engine, moment, service))
        with engine.connect() as connection:
            found = division(connection)
    except OperationalError as error:
        raise Failure("a table is in use for too long, or the database is away; try again") from error
    finally:
        engine.dispose()
    say("\n".join([*done, *_words(found, moment)]), _values(found, done, moment), as_json=as_json)


def _words(found: Division, moment: datetime) -> list[str]:
    lines = [f"{table}: {', '.join(parts)}" for table, parts in found.months.items()]
    if found.whole:
        bound = bound_after(moment)
        lines.append(f"Whole: {', '.join(found.whole)}. They would be divided from {bound:%Y-%m} on.")
    if found.unproved:
        lines.append(f"Not looked through yet: {', '.join(found.unproved)}. Run this again.")
    if found.in_default:
        lines.append(f"{found.in_default} rows are in no month: their ids have another time.")
    return lines


def _values(found: Division, done: list[str], moment: datetime) -> dict[str, object]:
    return {
        "done": done,
        "is_done": found.is_done,
        "partitions": {table: list(parts) for table, parts in found.months.items()},
        "whole": list(found.whole),
        "would_divide_from": bound_after(moment).date().isoformat() if found.whole else None,
        "unproved": list(found.unproved),
        "in_default": found.in_default,
    }
