"""Calls of a function in the database as prepared statements, past SQLAlchemy and the driver's adaptation.

A call is sent as bytes and answered as text; in between whoever waits lets others run: threads always, and
greenlets where psycopg was imported after gevent had patched `select` (`wait` is then not the C function).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg import errors, generators, waiting
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

_BINARY, _TEXT = 1, 0
# The driver looks up this often while it waits; without it, without a pause: that took all of a processor.
_WAIT_INTERVAL_S = 0.1
# What a connection has prepared; forgotten with it.
_prepared: WeakKeyDictionary[psycopg.Connection[Any], set[bytes]] = WeakKeyDictionary()

Row = Sequence[bytes | None]


@dataclass(frozen=True, slots=True)
class Call:
    """A statement under the name that connections prepare it by; its arguments are binary."""

    name: bytes
    sql: bytes

    def on(self, connection: psycopg.Connection[Any], arguments: Sequence[bytes | None]) -> list[Row]:
        """The rows, each value as its text. Raises psycopg.Error, with the server's code where it has one.

        In autocommit, or within the transaction that the connection is in: one is begun where it is due.
        """
        pgconn, formats = connection.pgconn, [_BINARY] * len(arguments)
        if connection.autocommit:
            known = _prepared.setdefault(connection, set())
            if self.name not in known:
                pgconn.send_prepare(self.name, self.sql)
                _finish(connection)
                known.add(self.name)
            pgconn.send_query_prepared(self.name, arguments, formats, result_format=_TEXT)
        else:
            if pgconn.transaction_status == TransactionStatus.IDLE:
                # The driver begins a transaction with the first statement that it sees.
                connection.execute("SELECT")
            # Not by name: where a transaction is rolled back the driver drops whatever was prepared.
            pgconn.send_query_params(self.sql, arguments, None, formats, result_format=_TEXT)
        result = _finish(connection)
        columns = range(result.nfields)
        return [[result.get_value(row, column) for column in columns] for row in range(result.ntuples)]


def _finish(connection: psycopg.Connection[Any]) -> PGresult:
    pgconn = connection.pgconn
    results: list[PGresult] = waiting.wait(
        generators.execute(pgconn), pgconn.socket, interval=_WAIT_INTERVAL_S
    )
    result = results[-1]
    if result.status not in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
        raise errors.error_from_result(result, encoding="utf-8")
    return result
