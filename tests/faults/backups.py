"""Backups of both databases, and what they were at a moment: a file's copy, or a base backup with its log."""

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Protocol

import psycopg

from tests.support.databases import ADMINISTRATOR, OWNER, SERVICE_ROLE, START_TIMEOUT_S, PostgresServer


class Backup(Protocol):
    """A database that can be restored to what it was."""

    @property
    def urls(self) -> tuple[str, str]:
        """The service's address of it, and the owner's."""

    def take(self) -> None:
        """Back it up as it is, while it is in use."""

    def restore(self) -> None:
        """Make it what it was when it was backed up. Nobody is connected."""

    def close(self) -> None:
        """Let go of it."""


class SqliteBackup:
    """A file, copied by SQLite's own means."""

    def __init__(self, folder: Path) -> None:
        self._file, self._copy = folder / "ledger.sqlite", folder / "backup.sqlite"
        self.urls = (f"sqlite:///{self._file}",) * 2

    def take(self) -> None:
        """`sqlite3 ledger.sqlite ".backup FILE"`."""
        with closing(sqlite3.connect(self._file)) as source, closing(sqlite3.connect(self._copy)) as copy:
            source.backup(copy)

    def restore(self) -> None:
        """The copy takes its place; what belonged to the lost one goes with it."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._file}{suffix}").unlink(missing_ok=True)
        shutil.copyfile(self._copy, self._file)

    def close(self) -> None:
        """Nothing is held."""


class PostgresBackup(PostgresServer):
    """A server with a base backup and an archive of its log, restored to a point in time."""

    def __init__(self) -> None:
        # Its commands run in the folder of the data.
        archive = ("archive_mode=on", "archive_command=cp %p ../archive/%f", "wal_level=replica")
        super().__init__(("fsync=off", *archive))
        self._archive = self._directory / "archive"
        self._archive.mkdir()
        if self._as_user:
            shutil.chown(self._archive, ADMINISTRATOR)
        self._name = self.create()
        self.urls = (self.url(self._name, SERVICE_ROLE), self.url(self._name, OWNER))
        self._moment = ""

    def take(self) -> None:
        """A base backup, and the moment after it."""
        target = str(self._directory / "base")
        self._run(
            "pg_basebackup", "-h", str(self._directory), "-U", ADMINISTRATOR, "-D", target, "-c", "fast"
        )
        with self._session() as session:
            self._moment = str(session.execute("SELECT clock_timestamp()").fetchall()[0][0])

    def restore(self) -> None:
        """All of it is lost but backup and archive, and comes back as it was at that moment."""
        with self._session() as session:
            last = str(session.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchall()[0][0])
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (self._archive / last).exists():
            assert time.monotonic() < deadline, "its log was not archived"
            time.sleep(0.05)
        self.kill()
        data = self._directory / "data"
        shutil.rmtree(data)
        (self._directory / "base").rename(data)
        (data / "recovery.signal").touch()
        with (data / "postgresql.auto.conf").open("a") as settings:
            settings.write("restore_command = 'cp ../archive/%f %p'\n")
            settings.write(f"recovery_target_time = '{self._moment}'\nrecovery_target_action = 'promote'\n")
        self.start_again()
        while self._is_recovering():
            assert time.monotonic() < deadline, (self._directory / "log").read_text()
            time.sleep(0.05)

    def close(self) -> None:
        """End the server."""
        self.stop()

    def _is_recovering(self) -> bool:
        with self._session() as session:
            return bool(session.execute("SELECT pg_is_in_recovery()").fetchall()[0][0])

    def _session(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url("postgres", ADMINISTRATOR), autocommit=True)
