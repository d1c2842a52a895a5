"""Under load everything is killed again and again: what was acknowledged is there once, whatever else is."""

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import pytest

from cardservice.migrations.versions import r0064_closed_providers
from tests.faults.riders import Told
from tests.faults.town import TIMEOUT_S, FaultTown, running_town, verified
from tests.support.council import FARE_MINOR
from tests.support.databases import Kind
from tests.support.told import PROPERTY

Record = Callable[[str, object], None]

# Fares that are answered between two kills: it works again, and the next comes in the middle of it.
FARES_BETWEEN = 10
KILLS: Mapping[Kind, Sequence[str]] = {
    "postgresql": [*["process"] * 5, *["worker"] * 8, *["session"] * 3, *["database"] * 2, "both"],
    "sqlite": [*["process"] * 3, *["worker"] * 3],
}
MANY = 12
# Several for each process, whichever takes them
IDLE = 12
# The newest without which this program cannot sell.
NEEDED = r0064_closed_providers.revision


@pytest.fixture(scope="module", params=["postgresql", pytest.param("sqlite", marks=pytest.mark.long)])
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultTown]:
    """A running town on each database in turn."""
    with running_town(request.param, tmp_path_factory.mktemp("town")) as made:
        yield made


@pytest.mark.parametrize("times", [1, pytest.param(MANY, marks=pytest.mark.long)])
def test_killed_under_load(town: FaultTown, times: int, record_property: Record) -> None:
    """kill -9 of gunicorn's processes, the worker and the database, 20 times on PostgreSQL."""
    town.start_worker()
    with town.ridden(seed=times) as ride:
        wanted = [*list(KILLS[town.kind]) * times, *(["service"] if times > 1 else [])]
        ride.chance.shuffle(wanted)
        for what in wanted:
            ride.go_on(FARES_BETWEEN)
            ride.kill(what)
        ride.go_on(FARES_BETWEEN)
    town.stop_worker()
    said = settle(town, ride.told)
    kills = ", ".join(f"{count} {what}" for what, count in sorted(ride.kills.items()))
    record_property(PROPERTY, f"{sum(ride.kills.values())} kills ({kills}): {said}")
    verified(town.stack)


@pytest.mark.parametrize("times", [1, pytest.param(MANY, marks=pytest.mark.long)])
def test_reloaded_under_load(town: FaultTown, times: int, record_property: Record) -> None:
    """SIGHUP again and again: nothing acknowledged is lost, and what was reset is counted."""
    with town.ridden(seed=times) as ride:
        for _ in range(times):
            ride.go_on(FARES_BETWEEN)
            town.reload()
        ride.go_on(FARES_BETWEEN)
    said = settle(town, ride.told)
    assert ride.told.lost["refused"] == 0, "somebody always listens"
    record_property(PROPERTY, f"{times} reloads, {ride.told.lost['connection']} connections reset: {said}")


def test_reloaded_with_connections_that_nobody_uses(town: FaultTown) -> None:
    """They are closed at once, whether something was asked on them before or not; nothing waits for them."""
    log, port = town.stack.root / "service.log", town.stack.port
    begun = len(log.read_text())
    with ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(IDLE)]
        asked = idle[::2]
        for each in asked:
            each.sendall(b"GET /healthz/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert each.recv(4096).startswith(b"HTTP/1.1 200")
        town.reload()
        for each in idle:
            each.settimeout(TIMEOUT_S)
            while each.recv(4096):
                pass
    assert "graceful timeout" not in log.read_text()[begun:]


def test_migrated_under_load(town: FaultTown) -> None:
    """A revision down and up again while everybody pays: nobody is kept from it, nor refused."""
    run = town.stack.run
    with town.ridden() as ride:
        ride.go_on(FARES_BETWEEN)
        newest = run("cardservice", "migrate", "--show", "--json").json["current"]
        kept = town.stack.attempt("cardservice", "migrate", "--to", NEEDED)
        assert (kept.status, "--down" in kept.err) == (1, True)
        down = run("cardservice", "migrate", "--to", NEEDED, "--down", "--json").json
        assert (down["before"], down["current"], down["newer"][-1]) == (newest, NEEDED, newest)
        ride.go_on(FARES_BETWEEN)
        assert run("cardservice", "migrate", "--json").json["current"] == newest
        ride.go_on(FARES_BETWEEN)
    settle(town, ride.told)
    assert not ride.told.lost


def settle(town: FaultTown, told: Told) -> str:
    """Every acknowledged transaction is there once; of every other one a repetition says whether it is."""
    assert not told.wrong, told.wrong
    posted = town.posted()
    assert told.answered.keys() <= posted.keys(), "an acknowledged transaction is lost"
    there = 0
    for transaction, (rider, sent) in told.left.items():
        answer = rider.find_out(sent)
        assert answer["repeated"] is (transaction in posted), transaction
        there += answer["repeated"]
    after = town.posted()
    assert told.answered.keys() | told.left.keys() <= after.keys()
    assert all(after[transaction][0] == decision for transaction, decision in told.answered.items())
    paid = [transfers for decision, transfers in after.values() if decision == "approved"]
    assert paid == [1] * len(paid)
    assert town.spent_minor() == len(paid) * FARE_MINOR
    repeated = told.said_again
    return (
        f"{len(told.answered)} acknowledged, all there once; {len(told.left)} left without an answer, of"
        f" which {there} had been posted; {repeated.total()} answered when sent again, of which"
        f" {repeated[True]} had been posted; attempts without an answer: {dict(told.lost)}"
    )
