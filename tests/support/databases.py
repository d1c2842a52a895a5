"""A fresh database for each test, on SQLite and on a real PostgreSQL that the tests start themselves.

`database` is what most tests want: the migrated database as the service sees it, on PostgreSQL as the role
that owns nothing. `owner_database` is the same database as its owner sees it; `databases` makes further ones.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

import psycopg
import pytest

from cardservice.database import Database, connect, grant_erasure_role, grant_service_role, migrate
from tests.support.folders import own_folder

Kind = Literal["sqlite", "postgresql"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")
OWNER, SERVICE_ROLE, ERASURE_ROLE, ADMINISTRATOR = "owner", "service", "eraser", "postgres"
START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """One database, as its owner and as the service connect to it; on SQLite both are the same."""

    kind: Kind
    owner: str
    service: str
    # May erase persons, and nothing else.
    eraser: str = ""


class PostgresServer:
    """A PostgreSQL server of our own: one folder, a Unix socket, no network; gone when this process is."""

    def __init__(self, settings: Sequence[str] = ("fsync=off",)) -> None:
        # Without fsync unless asked: the machine does not lose power within a test, and a server that is
        # killed loses nothing by it.
        self._directory = own_folder("citizen-card-pg")
        self._numbers = count(1)
        binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self._binaries = binaries[-1]
        # The server refuses root.
        self._as_user: tuple[str, ...] = ()
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self._directory, user.pw_uid, user.pw_gid)
            self._as_user = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups")
        data = self._directory / "data"
        options = ("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-U", ADMINISTRATOR)
        self._run("initdb", "-D", str(data), *options)
        self._settings = ("listen_addresses=", f"unix_socket_directories={self._directory}", *settings)
        self._process = self._start()
        self.await_start()
        self._execute(*(f"CREATE ROLE {role} LOGIN" for role in (OWNER, SERVICE_ROLE, ERASURE_ROLE)))

    @property
    def pid(self) -> int:
        """The process whose children serve the sessions."""
        return self._process.pid

    def create(self, template: str = "template1") -> str:
        """A new database's name; a copy of `template`."""
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}")
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, name: str, role: str) -> str:
        """Where `role` finds the database."""
        return f"postgresql://{role}@/{name}?host={self._directory}"

    def processes(self) -> dict[int, str]:
        """The server's processes beside the first one, by what each of them says that it does."""
        found = {}
        for child in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                found[int(child)] = Path(f"/proc/{child}/cmdline").read_bytes().rstrip(b"\0").decode()
        return found

    def kill(self) -> None:
        """kill -9, of each of its processes."""
        every = [self.pid, *self.processes()]
        for pid in every:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(START_TIMEOUT_S)

    def start_again(self) -> None:
        """Start it after `kill`: it recovers what was committed from its log."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            self._process = self._start()
            try:
                self.await_start()
            except AssertionError:
                # What is left of a process that was killed keeps the next one out for a moment.
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._process.send_signal(2)
        self._process.wait(START_TIMEOUT_S)
        shutil.rmtree(self._directory)

    def _start(self) -> subprocess.Popen[bytes]:
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    *(self._as_user or ("setpriv",)),
                    "--pdeathsig=INT",
                    str(self._binaries / "postgres"),
                    *("-D", str(self._directory / "data")),
                    *(word for setting in self._settings for word in ("-c", setting)),
                ],
                cwd="/",
                stdout=log,
                stderr=log,
            )

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._binaries / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/")

    def await_start(self) -> None:
        """Wait until it answers. Raises AssertionError where it has ended."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self._execute()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise AssertionError((self._directory / "log").read_text()) from None
                time.sleep(0.02)
            else:
                return

    def _execute(self, *statements: str) -> None:
        with psycopg.connect(
            host=str(self._directory), user=ADMINISTRATOR, dbname="postgres", autocommit=True
        ) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def deadlocks(database: Database) -> int:
    """How many a PostgreSQL has ended here, once nobody else is connected: sessions tell as they end."""
    database.dispose()
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    counted = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    deadline = time.monotonic() + START_TIMEOUT_S
    with database.posting_engine.connect() as connection:
        while connection.exec_driver_sql(others).scalar_one():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return int(connection.exec_driver_sql(counted).scalar_one())


class Databases:
    """Makes databases of both kinds; migrates one of each and copies it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = count(1)
        self._server: PostgresServer | None = None
        self._template: str | None = None

    def create(self, kind: Kind, *, migrated: bool = True) -> DatabaseUrls:
        """A fresh database: migrated, with the service's role granted its rights, or with nothing in it."""
        return self._sqlite(migrated) if kind == "sqlite" else self._postgresql(migrated)

    def drop(self, urls: DatabaseUrls) -> None:
        """Give back what a database takes."""
        if urls.kind == "postgresql" and self._server is not None:
            self._server.drop(urls.owner.partition("?")[0].rpartition("/")[2])

    def close(self) -> None:
        """End the server, if one was started."""
        if self._server is not None:
            self._server.stop()

    def _sqlite(self, migrated: bool) -> DatabaseUrls:
        path = self._directory / f"{next(self._numbers)}.sqlite"
        if migrated:
            template = self._directory / "template.sqlite"
            if not template.exists():
                migrate(f"sqlite:///{template}")
            shutil.copyfile(template, path)
        url = f"sqlite:///{path}"
        return DatabaseUrls("sqlite", url, url, url)

    def _postgresql(self, migrated: bool) -> DatabaseUrls:
        if self._server is None:
            self._server = PostgresServer()
        if migrated and self._template is None:
            self._template = self._server.create()
            prepare(self._server.url(self._template, OWNER))
        template = self._template if migrated and self._template else "template1"
        name = self._server.create(template)
        urls = (self._server.url(name, role) for role in (OWNER, SERVICE_ROLE, ERASURE_ROLE))
        return DatabaseUrls("postgresql", *urls)


def prepare(owner_url: str) -> None:
    """Migrate a database and grant the service's role what it needs, as its owner does."""
    migrate(owner_url)
    owner = connect(owner_url)
    with owner.begin() as connection:
        grant_service_role(connection, SERVICE_ROLE)
        grant_erasure_role(connection, ERASURE_ROLE)
    owner.dispose()


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Makes databases for the whole session; PostgreSQL starts when the first is wanted."""
    made = Databases(tmp_path_factory.mktemp("databases"))
    yield made
    made.close()


@pytest.fixture(params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of database in turn."""
    kind: Kind = request.param
    return kind


@pytest.fixture
def database_urls(databases: Databases, database_kind: Kind) -> Iterator[DatabaseUrls]:
    """A migrated database for this test alone."""
    urls = databases.create(database_kind)
    yield urls
    databases.drop(urls)


@pytest.fixture
def empty_database_urls(databases: Databases, database_kind: Kind) -> Iterator[DatabaseUrls]:
    """A database without any table, for this test alone."""
    urls = databases.create(database_kind, migrated=False)
    yield urls
    databases.drop(urls)


@pytest.fixture
def database(database_urls: DatabaseUrls) -> Iterator[Database]:
    """This test's database as the service sees it."""
    opened = connect(database_urls.service)
    yield opened
    opened.dispose()


@pytest.fixture
def owner_database(database_urls: DatabaseUrls) -> Iterator[Database]:
    """This test's database as its owner sees it."""
    opened = connect(database_urls.owner)
    yield opened
    opened.dispose()
