"""Patroni as `docs/operations.md` has it: primaries killed and changed under load, nothing acknowledged lost.

The configuration that is run is the one of docs/patroni.yml: nothing in it is changed but names, addresses,
ports and folders.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import requests

from tests.faults.test_killed import settle
from tests.faults.town import FaultTown, town_on, verified
from tests.support.databases import OWNER, SERVICE_ROLE
from tests.support.folders import own_folder
from tests.support.stack import Stack, free_port
from tests.support.told import PROPERTY

pytestmark = pytest.mark.long

Record = Callable[[str, object], None]
DOCUMENTED = (Path(__file__).parents[2] / "docs" / "patroni.yml").read_text(encoding="utf-8")
MEMBERS = ("db1", "db2", "db3")
HERE, DATABASE = "127.0.0.1", "cards"
FARES, KILLS = 40, 2
# Patroni waits for `ttl` before it promotes; a member that is made anew copies everything.
TIMEOUT_S = 180.0
_PROGRAMS = ("patroni", "patronictl", "etcd")


def _as_postgres() -> Sequence[str]:
    """PostgreSQL refuses root."""
    return ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups") if os.geteuid() == 0 else ()


@dataclass(slots=True)
class Member:
    """A machine of the cluster: Patroni, and the PostgreSQL that it starts."""

    name: str
    folder: Path
    postgres: int = field(default_factory=free_port)
    rest: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """PostgreSQL's folder."""
        return self.folder / f"{self.name}-data"

    def configure(self, etcd: int, passwords: Mapping[str, str]) -> None:
        """The documented file, with this member's own."""
        binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        own = {
            "ADDRESS:8008": f"{HERE}:{self.rest}",
            "ADDRESS:5432": f"{HERE}:{self.postgres}",
            "hosts: ETCD": f"hosts: {HERE}:{etcd}",
            "name: NAME": f"name: {self.name}",
            "/var/lib/postgresql/15/cards": str(self.data),
            "/usr/lib/postgresql/15/bin": str(binaries),
            "/var/lib/postgresql/cards.pgpass": str(self.folder / f"{self.name}.pgpass"),
            "unix_socket_directories: /var/run/postgresql": f"unix_socket_directories: {self.folder}",
            **passwords,
        }
        text = DOCUMENTED
        for placeholder, value in own.items():
            assert placeholder in text, placeholder
            text = text.replace(placeholder, value)
        self.file.write_text(text, encoding="utf-8")

    @property
    def file(self) -> Path:
        """Its configuration."""
        return self.folder / f"{self.name}.yml"

    def start(self) -> None:
        """As systemd does."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*_as_postgres(), "patroni", str(self.file)], cwd="/", stdout=log, stderr=log
            )

    def kill(self) -> None:
        """kill -9 of all of it, as a machine that has lost its power."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(TIMEOUT_S)
        self.process = None
        first = self.postmaster()
        if first is None:
            return
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for pid in (first, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def postmaster(self) -> int | None:
        """PostgreSQL's first process, if it runs."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            return pid if str(self.data) in Path(f"/proc/{pid}/cmdline").read_text() else None
        except (OSError, ValueError, IndexError):
            return None

    def stop(self) -> None:
        """Patroni ends PostgreSQL, too."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(TIMEOUT_S)
            self.process = None


@dataclass(slots=True)
class Cluster:
    """Three members, and the etcd by which they agree."""

    folder: Path
    members: tuple[Member, ...]
    etcd: subprocess.Popen[bytes]
    password: str

    def url(self, role: str, *, members: Sequence[Member] = (), mode: str = "read-write") -> str:
        """Whichever member can be written to, as docs/operations.md writes it."""
        named = members or self.members
        hosts, ports = ",".join(HERE for _ in named), ",".join(str(each.postgres) for each in named)
        where = f"host={hosts}&port={ports}&target_session_attrs={mode}"
        return f"postgresql://{role}:{self.password}@/{DATABASE}?{where}"

    def roles(self) -> dict[str, str]:
        """What each member is that runs, by name; empty while none answers."""
        for member in self.members:
            with suppress(requests.RequestException, ValueError):
                found = requests.get(f"http://{HERE}:{member.rest}/cluster", timeout=5).json()
                return {
                    each["name"]: each["role"]
                    for each in found["members"]
                    if each["state"] in {"running", "streaming"}
                }
        return {}

    def primary(self) -> Member:
        """The one that is written to."""
        named = next(name for name, role in self.roles().items() if role == "leader")
        return next(member for member in self.members if member.name == named)

    def until_whole(self, but: str | None = None) -> None:
        """A primary, a replica that is in step with it, and every other member; `but` is no primary."""

        def is_whole() -> bool:
            roles = self.roles()
            found = sorted(roles.values())
            return found == ["leader", "replica", "sync_standby"] and (but is None or roles[but] != "leader")

        self.until(is_whole)

    def until(self, found: Callable[[], bool]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + TIMEOUT_S
        while not found():
            ended = [each.name for each in self.members if each.process and each.process.poll() is not None]
            assert not ended, (ended, self.logs())
            assert time.monotonic() < deadline, (self.roles(), self.logs())
            time.sleep(0.2)

    def logs(self) -> str:
        """The end of what each has said."""
        return "\n".join(each.read_text()[-2000:] for each in sorted(self.folder.glob("*.log")))

    def switch(self) -> None:
        """As an operator does before work on the primary."""
        command = ["patronictl", "-c", str(self.members[0].file), "switchover", "cards", "--force"]
        subprocess.run([*_as_postgres(), *command], check=True, capture_output=True, cwd="/")

    def close(self) -> None:
        """End everything."""
        for member in self.members:
            member.stop()
        self.etcd.terminate()
        self.etcd.wait(TIMEOUT_S)
        shutil.rmtree(self.folder)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Three members with the service's database and roles."""
    if missing := [each for each in _PROGRAMS if shutil.which(each) is None]:
        pytest.skip(f"{', '.join(missing)} not installed: apt-get install patroni etcd-server")
    folder = own_folder("citizen-card-patroni")
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
    etcd_port, password = free_port(), secrets.token_urlsafe(16)
    made = Cluster(folder, (), _etcd(folder, etcd_port), password)
    try:
        made.members = tuple(Member(name, folder) for name in MEMBERS)
        passwords = {f"{each}_PASSWORD": secrets.token_urlsafe(16) for each in ("SUPERUSER", "REPLICATION")}
        for member in made.members:
            member.configure(etcd_port, passwords)
            member.start()
        made.until_whole()
        _set_up(made, passwords["SUPERUSER_PASSWORD"])
        yield made
    finally:
        made.close()


def _etcd(folder: Path, port: int) -> subprocess.Popen[bytes]:
    client, peer = f"http://{HERE}:{port}", f"http://{HERE}:{free_port()}"
    with (folder / "etcd.log").open("ab") as log:
        return subprocess.Popen(
            [
                *(*_as_postgres(), "etcd", "--name", "one", "--data-dir", str(folder / "etcd")),
                *("--listen-client-urls", client, "--advertise-client-urls", client),
                *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                *("--initial-cluster", f"one={peer}", "--unsafe-no-fsync"),
            ],
            cwd="/",
            stdout=log,
            stderr=log,
        )


def _set_up(cluster: Cluster, superuser: str) -> None:
    """The two roles and the database, as docs/operations.md has them made."""
    primary = cluster.primary()
    where = f"postgresql://postgres:{superuser}@{HERE}:{primary.postgres}/postgres"
    with psycopg.connect(where, autocommit=True) as connection:
        for role in (OWNER, SERVICE_ROLE):
            connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{cluster.password}'".encode())
        connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}".encode())


@pytest.fixture
def town(cluster: Cluster, tmp_path: Path) -> Iterator[FaultTown]:
    """A town whose service runs on the cluster."""
    urls = (cluster.url(SERVICE_ROLE), cluster.url(OWNER))
    with town_on(Stack(tmp_path, *urls, "GBP", "Europe/London"), None) as made:
        yield made


def test_a_primary_is_killed_and_another_takes_its_place(
    cluster: Cluster, town: FaultTown, record_property: Record
) -> None:
    """Twice killed, changed by an operator, read from a replica: all that was told is there, once."""
    said = []
    for number in range(KILLS):
        with town.ridden(seed=1 + number) as ride:
            ride.go_on(FARES)
            lost = cluster.primary()
            lost.kill()
            ride.go_on(FARES)
        said.append(settle(town, ride.told))
        lost.start()
        cluster.until_whole(but=lost.name)
    before = cluster.primary()
    with town.ridden(seed=1 + KILLS) as ride:
        ride.go_on(FARES)
        cluster.switch()
        ride.go_on(FARES)
    said.append(settle(town, ride.told))
    cluster.until_whole(but=before.name)
    roles = cluster.roles()
    replicas = [member for member in cluster.members if roles[member.name] != "leader"]
    reading = {"CARDSERVICE_DATABASE_URL": cluster.url(SERVICE_ROLE, members=replicas, mode="standby")}
    town.stack.run("cardservice", "ledger", "verify", "--whole", environment=reading)
    verified(town.stack)
    record_property(PROPERTY, f"Patroni, {KILLS} primaries killed and one changed: {' / '.join(said)}")
