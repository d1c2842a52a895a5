"""Many rows at once: on PostgreSQL one stream (COPY) instead of a command for each row."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, Table, insert

from cardservice.database import driver_of

# Ours: below it the round trips of a stream cost more than they save.
_FEW = 20


def insert_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns, in the caller's transaction; none: nothing is done.

    Values pass the columns' own types; defaults, constraints and triggers are the database's as always.
    """
    if not rows:
        return
    if connection.dialect.name != "postgresql" or len(rows) < _FEW:
        connection.execute(insert(table), list(rows))
        return
    names = list(rows[0])
    bound = [_bound(connection, table, name) for name in names]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    with driver_of(connection).cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(
                [
                    value if process is None else process(value)
                    for value, process in zip((row[name] for name in names), bound, strict=True)
                ]
            )


def _bound(connection: Connection, table: Table, name: str) -> Any:
    """What makes a column's value one that the driver takes; None where it takes it as it is."""
    own = table.c[name].type.dialect_impl(connection.dialect)
    return own.bind_processor(connection.dialect)
