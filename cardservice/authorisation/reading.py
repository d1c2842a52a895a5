"""All that messages are decided on, read together and as of one moment.

On PostgreSQL in one call of the function in `reading.sql`, on SQLite by the same steps in one transaction.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from cardservice.authorisation import reading_core, reading_postgresql
from cardservice.authorisation.found import Found, Wanted
from cardservice.database import Database, driver_of


def read_for_messages(database: Database, wanted: Sequence[Wanted]) -> list[Found]:
    """One result for each message, in their order."""
    if database.dialect == "sqlite":
        with database.reading() as connection:
            return reading_core.read(connection, wanted)
    with database.posting_engine.connect() as connection:
        return reading_postgresql.read(driver_of(connection), wanted)


def read_for_messages_on(connection: Connection, wanted: Sequence[Wanted]) -> list[Found]:
    """The same within the caller's transaction, which holds the payers' locks."""
    if connection.dialect.name == "sqlite":
        return reading_core.read(connection, wanted)
    return reading_postgresql.read(driver_of(connection), wanted)
