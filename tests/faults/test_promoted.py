"""A primary that is lost under load, and its replica in its place, as `docs/operations.md` sets them up."""

import os
import pwd
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.faults.test_killed import settle
from tests.faults.town import FaultTown, town_on, verified
from tests.support.databases import (
    ADMINISTRATOR,
    OWNER,
    SERVICE_ROLE,
    START_TIMEOUT_S,
    PostgresServer,
)
from tests.support.folders import own_folder
from tests.support.stack import Stack
from tests.support.told import PROPERTY

pytestmark = pytest.mark.long

Record = Callable[[str, object], None]
FARES = 40


class Standby(PostgresServer):
    """A replica: a base backup that goes on with its primary's log."""

    def __init__(self, primary: "Primary") -> None:
        self._directory = own_folder("citizen-card-pg")
        self._binaries, self._as_user = primary._binaries, primary._as_user
        if self._as_user:
            os.chown(self._directory, pwd.getpwnam("postgres").pw_uid, -1)
        source = ("-h", str(primary._directory), "-U", ADMINISTRATOR)
        self._run("pg_basebackup", *source, "-D", str(self._directory / "data"), "-c", "fast", "-R")
        self._settings = ("listen_addresses=", f"unix_socket_directories={self._directory}", "fsync=off")
        self._process = self._start()
        self.await_start()

    def promote(self) -> None:
        """What Patroni does when the primary is gone."""
        self._execute("SELECT pg_promote()")


class Primary(PostgresServer):
    """A server that answers a commit when its replica has it, too."""

    def replicated(self) -> Standby:
        """Its replica, in step with it."""
        made = Standby(self)
        # Patroni: synchronous_mode, synchronous_node_count 1.
        self._execute("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        deadline = time.monotonic() + START_TIMEOUT_S
        with psycopg.connect(self.url("postgres", ADMINISTRATOR), autocommit=True) as session:
            query = "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"
            while session.execute(query).fetchall() != [(1,)]:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        return made

    def both(self, standby: Standby, name: str, role: str) -> str:
        """Whichever of the two can be written to, as the settings name them."""
        hosts = f"{self._directory},{standby._directory}"
        return f"postgresql://{role}@/{name}?host={hosts}&target_session_attrs=read-write"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Primary, Standby, FaultTown]]:
    """A town on a primary with a replica."""
    primary = Primary(("fsync=off", "wal_level=replica"))
    name = primary.create()
    standby = primary.replicated()
    urls = [primary.both(standby, name, role) for role in (SERVICE_ROLE, OWNER)]
    try:
        with town_on(Stack(tmp_path, urls[0], urls[1], "GBP", "Europe/London"), None) as town:
            town.stack.environment["REPLICA"] = standby.url(name, SERVICE_ROLE)
            yield primary, standby, town
    finally:
        standby.stop()


def test_a_replica_is_promoted_under_load(
    pair: tuple[Primary, Standby, FaultTown], record_property: Record
) -> None:
    """It has every acknowledged posting; sessions find it by themselves. Before, it was read from."""
    primary, standby, town = pair
    with town.ridden() as ride:
        ride.go_on(FARES)
        replica = {"CARDSERVICE_DATABASE_URL": town.stack.environment["REPLICA"]}
        town.stack.run("cardservice", "ledger", "verify", "--whole", environment=replica)
        primary.kill()
        standby.promote()
        ride.go_on(FARES)
    said = settle(town, ride.told)
    verified(town.stack)
    record_property(PROPERTY, f"a replica promoted: {said}")
