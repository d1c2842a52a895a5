"""The tables of the store on `sqlite3`, and how an older file is brought to them."""

import sqlite3
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from pki.trail import IMPORT, TrailHead, next_entry

# PRAGMA user_version of a file that is up to date
VERSION = 1
# Ours, 16 MB of log: random numbers stand all over the indexes, and each of their pages is brought into the
# file once for all the changes in it.
_LOG_PAGES = 4_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Serial numbers have up to 20 octets (RFC 5280, 4.1.2.2), more than an INTEGER holds; times are milliseconds.
_FIRST = """
CREATE TABLE IF NOT EXISTS certificate (
    authority TEXT NOT NULL,
    serial TEXT NOT NULL,
    profile TEXT NOT NULL,
    identity TEXT NOT NULL,
    der BLOB NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    revoked_at INTEGER,
    reason TEXT,
    PRIMARY KEY (authority, serial),
    CHECK ((revoked_at IS NULL) = (reason IS NULL))
);
CREATE INDEX IF NOT EXISTS certificate_identity ON certificate (authority, identity);
CREATE TABLE IF NOT EXISTS crl (
    authority TEXT NOT NULL,
    number INTEGER NOT NULL,
    this_update INTEGER NOT NULL,
    next_update INTEGER NOT NULL,
    der BLOB NOT NULL,
    PRIMARY KEY (authority, number)
);
CREATE TABLE IF NOT EXISTS crl_number (authority TEXT PRIMARY KEY, number INTEGER NOT NULL);
"""
# Until the first rollover an issuer is called like its authority.
_STATUS_AND_TRAIL = """
ALTER TABLE certificate ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE certificate ADD COLUMN status_index INTEGER;
ALTER TABLE certificate ADD COLUMN shard INTEGER;
ALTER TABLE certificate ADD COLUMN status_changed_at INTEGER;
UPDATE certificate SET issuer = authority, status_changed_at = revoked_at;
CREATE INDEX certificate_revoked ON certificate (authority, issuer, shard) WHERE revoked_at IS NOT NULL;
CREATE INDEX certificate_changed ON certificate (authority, status_changed_at)
    WHERE status_changed_at IS NOT NULL;
ALTER TABLE crl ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE crl ADD COLUMN shard INTEGER;
ALTER TABLE crl ADD COLUMN base_number INTEGER;
UPDATE crl SET issuer = authority;
CREATE TABLE status_index (
    authority TEXT NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    identity TEXT NOT NULL,
    PRIMARY KEY (authority, position),
    UNIQUE (authority, identity)
);
CREATE TABLE trail (
    authority TEXT NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    operation TEXT NOT NULL,
    detail TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (authority, sequence)
);
CREATE TABLE trail_head (authority TEXT PRIMARY KEY, sequence INTEGER NOT NULL, sha256 BLOB NOT NULL);
CREATE TRIGGER trail_unchanged BEFORE UPDATE ON trail
    BEGIN SELECT RAISE(ABORT, 'the trail is only ever added to'); END;
CREATE TRIGGER trail_undeleted BEFORE DELETE ON trail
    BEGIN SELECT RAISE(ABORT, 'the trail is only ever added to'); END;
"""


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Make or migrate the tables, in the connection's transaction."""
    if _version(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    if _version(connection) < VERSION:  # another program may have been faster
        for script in (_FIRST, _STATUS_AND_TRAIL):
            _run(connection, script)
        _begin_trail(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def write_ahead(connection: sqlite3.Connection) -> None:
    """Write changes to a log first, so that a commit is one flush to disk.

    The file stays in this mode; what lies beside it meanwhile is gone when nobody has it open.
    """
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Each statement by itself: `executescript` would commit what it finds open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def _begin_trail(connection: sqlite3.Connection) -> None:
    """What was done before there was a trail is its beginning."""
    heads: dict[str, TrailHead] = {}
    rows = connection.execute(
        "SELECT authority, serial, issuer, profile, der, revoked_at, reason, issued_at "
        "FROM certificate ORDER BY issued_at, rowid"
    ).fetchall()
    for authority, serial, issuer, profile, der, revoked_at, reason, issued_at in rows:
        detail = {"serial": serial, "issuer": issuer, "profile": profile, "sha256": sha256(der).hexdigest()}
        moment = _EPOCH + timedelta(milliseconds=issued_at)
        as_of = _EPOCH + timedelta(milliseconds=revoked_at or 0)
        status = (
            {} if reason is None else {"reason": reason, "as_of": as_of.isoformat(timespec="milliseconds")}
        )
        entry = next_entry(heads.get(authority), authority, IMPORT, "pki", moment, detail | status)
        heads[authority] = entry.head
        connection.execute(
            "INSERT INTO trail VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(authority, entry.sequence, entry.at_ms, entry.actor, entry.operation),
                *(entry.detail, entry.sha256),
            ),
        )
    for authority, head in heads.items():
        connection.execute("INSERT INTO trail_head VALUES (?, ?, ?)", (authority, head.sequence, head.sha256))
