"""The posting steps with a check taken out, to show what it is there for."""

from collections.abc import Callable, Collection
from importlib.resources import files
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event, text

from cardservice.database import Database, connect
from cardservice.ledger import posting_sqlite
from tests.support.databases import DatabaseUrls

# What is left where a check is taken out.
_UNLOCKED = """
    SELECT array_agg(payer_id), array_agg(version) INTO v_locked, v_version
    FROM payer_state WHERE payer_id = ANY (v_payer);
"""
# Looked up in one statement with the lock: what waited sees the new state, and yet the old transactions.
_ONE_STATEMENT = """
    WITH s AS MATERIALIZED (
        SELECT payer_id, version FROM payer_state WHERE payer_id = ANY (v_payer)
        ORDER BY payer_id FOR NO KEY UPDATE
    ), l AS (SELECT array_agg(payer_id) AS payers, array_agg(version) AS versions FROM s)
    SELECT l.payers, l.versions, coalesce(k.rows, '{}'), coalesce(k.payers, '{}')
    INTO v_locked, v_version, v_known, v_known_under
    FROM l, LATERAL (
        SELECT array_agg(i.row::integer) AS rows, array_agg(t.payer_id) AS payers
        FROM unnest(p_id) WITH ORDINALITY AS i (id, row)
        JOIN ledger_transaction AS t ON t.payer_id = ANY (l.payers) AND t.id = i.id
    ) AS k;
"""
_REPLACEMENTS = {"lock": {"lock": _UNLOCKED}, "one statement": {"lock": _ONE_STATEMENT, "known": ""}}


def posting_sql(removed: Collection[str] = ()) -> str:
    """The function's source with these checks taken out."""
    source = files("cardservice.ledger").joinpath("posting.sql").read_text()
    for name in removed:
        for check, replacement in _REPLACEMENTS.get(name, {name: ""}).items():
            before, mark, rest = source.partition(f"-- check: {check}\n")
            _, end, after = rest.partition("-- end\n")
            assert mark, check
            assert end, check
            source = before + replacement + after
    return source


def without(removed: Collection[str], urls: DatabaseUrls, patch: pytest.MonkeyPatch) -> Database:
    """The database, posting with these checks taken out."""
    if urls.kind == "sqlite":
        return _sqlite_without(removed, urls, patch)
    owner = connect(urls.owner)
    with owner.begin() as connection:
        connection.exec_driver_sql(posting_sql(removed), execution_options={"no_parameters": True})
    owner.dispose()
    return connect(urls.service)


def _sqlite_without(removed: Collection[str], urls: DatabaseUrls, patch: pytest.MonkeyPatch) -> Database:
    for name in {"known", "version", "floor"} & set(removed):
        patch.setattr(posting_sqlite, f"check_{name}", _passes)
    if not {"lock", "one statement"} & set(removed):
        return connect(urls.service)
    # As SQLAlchemy does of itself: it looks first, and locks when it first writes.
    engine = create_engine(urls.service, connect_args={"timeout": 30.0})
    event.listen(engine, "connect", _no_transactions_of_its_own)
    patch.setattr(posting_sqlite, "_store", _locking_late(posting_sqlite._store))
    return Database(engine, engine)


def _passes(*_: object) -> None:
    return None


def _no_transactions_of_its_own(connection: Any, _: object) -> None:
    connection.isolation_level = None


def _locking_late(store: Callable[..., None]) -> Callable[..., None]:
    def late(connection: Connection, postings: Any) -> None:
        if not connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr] # sqlite3's
            connection.execute(text("BEGIN IMMEDIATE"))
        store(connection, postings)

    return late
