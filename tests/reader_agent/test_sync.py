"""Telling the service what waits."""

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from reader_agent.agent import Agent
from reader_agent.errors import SchemeChanged, ServiceUnreachable
from reader_agent.outbox import RETENTION
from reader_agent.outbox_entries import EntryKind, EntryState
from reader_agent.sync import HANDFUL, Delivery, sync
from reader_agent.tapping import Outcome, Step
from tests.reader_agent.world import World

# Run by test_killed_at_any_step in a process of its own.
_TAP_AND_DIE = """
import os, signal, sys
from pathlib import Path
from pki.clock import system_clock
from reader_agent.agent import Agent
from reader_agent.config import AgentDirectory
from reader_agent.tapping import Step, tap
from tests.reader_agent.world import ORDER, DirectConnection

folder, card, last = Path(sys.argv[1]), Path(sys.argv[2]), Step(sys.argv[3])

def die_at(step):
    if step is last:
        os.kill(os.getpid(), signal.SIGKILL)

with Agent(AgentDirectory(folder), system_clock()) as agent, DirectConnection.to(card) as connection:
    tap(agent, connection, ORDER, die_at)
"""


def kill_at(world: World, step: Step) -> None:
    """A tap by another process that is killed by SIGKILL at this step."""
    arguments = (str(world.directory.path), str(world.card_file), str(step))
    done = subprocess.run(
        [sys.executable, "-c", _TAP_AND_DIE, *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(
    ("step", "left"),
    [
        (Step.PRICED, None),
        (Step.STORED, EntryState.PREPARED),
        (Step.SIGNED, EntryState.OPEN),
        (Step.ANSWERED, EntryState.ANSWERED),
    ],
)
def test_killed_at_any_step_of_a_request(world: World, step: Step, left: EntryState | None) -> None:
    """Power fails: what was stored is there, and whoever was not told "paid" is not charged."""
    kill_at(world, step)
    assert world.entries() == ([] if left is None else [(EntryKind.REQUEST, left)])
    sync(world.agent)
    assert world.service.charged == (240 if step is Step.ANSWERED else 0)
    assert not world.agent.outbox.entries(EntryState.OPEN, EntryState.PREPARED)


def test_killed_after_serving_offline(world: World) -> None:
    """The goods are gone: the advice was stored before, and is told."""
    world.tap()
    world.service.stop()
    kill_at(world, Step.SERVED_OFFLINE)
    world.service.start()
    assert world.entries()[1:] == [(EntryKind.ADVICE, EntryState.OPEN)]
    sync(world.agent)
    assert world.service.charged == 240 + 260


def test_killed_between_annulment_and_advice(world: World) -> None:
    """Nobody was served: the request is annulled, and no advice is left."""
    world.tap()
    world.service.mishaps = ["answer_lost", "answer_lost", "answer_lost"]
    kill_at(world, Step.ANNULLED)
    sync(world.agent)
    assert world.service.charged == 240


def test_nothing_is_lost_while_the_service_is_down(world: World) -> None:
    """A round without a service changes nothing."""
    world.tap()
    world.service.stop()
    for _ in range(3):
        assert world.tap().outcome is Outcome.APPROVED
    before = world.entries()
    with pytest.raises(ServiceUnreachable):
        sync(world.agent)
    assert world.entries() == before
    world.service.start()
    report = sync(world.agent)
    assert [item.delivery for item in report.delivered] == [Delivery.ANSWERED] * 3
    assert world.service.charged == 240 + 3 * 260


def test_what_happened_first_is_told_first(world: World) -> None:
    """By the terminal's own sequence."""
    world.tap()
    world.service.stop()
    ids = [world.tap().id for _ in range(3)]
    world.service.start()
    assert [item.id for item in sync(world.agent).delivered] == ids


def test_one_bad_entry_does_not_keep_the_others_back(world: World) -> None:
    """The service fails at the first; the second is told, and the first is tried again next time."""
    world.tap()
    world.service.stop()
    world.tap()
    world.tap()
    world.service.start()
    world.service.mishaps = [(500, "internal_error")]
    report = sync(world.agent)
    assert [item.delivery for item in report.delivered] == [Delivery.FAILED, Delivery.ANSWERED]
    assert report.waiting == 1
    assert sync(world.agent).waiting == 0


def test_a_refused_advice_is_kept_and_shown(world: World) -> None:
    """Quarantined by the service: it is not sent again, and not deleted before its time."""
    world.tap()
    world.service.stop()
    world.tap()
    world.service.start()
    world.service.mishaps = [(422, "proof_invalid")]
    assert sync(world.agent).waiting == 0
    assert world.only(EntryKind.ADVICE).problem == "proof_invalid"
    assert not sync(world.agent).delivered


def test_a_refused_terminal_keeps_its_advices(world: World) -> None:
    """A clock set wrong can be put right; the payment must not be lost for it."""
    world.tap()
    world.service.stop()
    world.tap()
    world.service.start()
    world.service.mishaps = [(401, "request_signature_stale")]
    assert sync(world.agent).waiting == 1
    assert sync(world.agent).waiting == 0


def test_a_damaged_entry_does_not_keep_the_others_back(world: World) -> None:
    """One entry's bytes were changed on the disk: it stays, and is named."""
    world.tap()
    world.service.stop()
    first = world.tap().id
    world.tap()
    assert first is not None
    world.agent.outbox.connection.execute(
        "UPDATE entry SET message = zeroblob(200) WHERE id = ?", (first.bytes,)
    )
    world.service.start()
    report = sync(world.agent)
    assert [item.detail for item in report.delivered] == ["outbox_damaged", "approved"]
    assert report.waiting == 1


def test_the_request_of_a_tap_that_is_going_on_is_left_alone(world: World) -> None:
    """Another process syncs while the service is thinking about the tap's request."""
    reports = []

    def meanwhile() -> None:
        world.service.on_authorisation = lambda: None
        with Agent(world.directory, world.clock) as other:
            reports.append(sync(other))

    world.service.on_authorisation = meanwhile
    assert world.tap().outcome is Outcome.APPROVED
    assert (reports[0].closed, reports[0].delivered) == (0, ())
    assert world.entries() == [(EntryKind.REQUEST, EntryState.ANSWERED)]


def test_answered_entries_go_after_35_days(world: World) -> None:
    """Not a moment earlier, and what waits never goes."""
    world.tap()
    world.service.stop()
    world.tap()
    outbox, moment = world.agent.outbox, world.clock()
    assert timedelta(days=35) == RETENTION
    assert outbox.purge(moment + RETENTION - timedelta(minutes=1)) == 0
    assert outbox.purge(moment + RETENTION + timedelta(minutes=1)) == 1
    assert outbox.purge(moment + 10 * RETENTION) == 0
    assert world.entries() == [(EntryKind.ADVICE, EntryState.OPEN)]


def test_a_service_of_another_scheme_is_refused(world: World) -> None:
    """The address answers, but for somebody else's cards."""
    world.scheme.id = "elsewhere"
    try:
        with pytest.raises(SchemeChanged):
            sync(world.agent)
    finally:
        world.scheme.id = "ashcombe"


def test_revocation_lists_never_go_back(world: World) -> None:
    """An old list, replayed by whoever sits on the line, does not bring a revoked card back."""
    old = world.service.make_trust()
    newest = world.agent.fetch_trust().store.crls
    world.service.replayed_trust = old
    assert world.agent.fetch_trust().store.crls == newest


def offline_taps(world: World, count: int) -> list[object]:
    """So many sales without the service; the first tap is for prices to keep."""
    world.tap()
    world.service.stop()
    ids: list[object] = [world.tap().id for _ in range(count)]
    world.service.start()
    world.service.received.clear()
    return ids


def test_many_are_told_together(world: World) -> None:
    """In their order and in one request; what is refused or fails among them costs the others nothing."""
    ids = offline_taps(world, HANDFUL + 2)
    world.service.mishaps = [None, (422, "proof_invalid"), (503, "busy")]
    report = sync(world.agent)
    assert [item.id for item in report.delivered] == ids
    assert [item.delivery for item in report.delivered] == [
        *(Delivery.ANSWERED, Delivery.REFUSED, Delivery.FAILED),
        *[Delivery.ANSWERED] * (HANDFUL - 1),
    ]
    assert (len(world.service.chunks), len(world.service.received)) == (1, HANDFUL + 2)
    assert [entry.problem for entry in world.agent.outbox.entries(EntryState.REFUSED)] == ["proof_invalid"]
    report = sync(world.agent)
    assert ([item.delivery for item in report.delivered], report.waiting) == ([Delivery.ANSWERED], 0)
    assert len(world.service.chunks) == 1


@pytest.mark.parametrize("fault", ["takes_chunks", "signs_chunks"])
def test_told_one_by_one_where_no_chunk_is_answered(world: World, fault: str) -> None:
    """An older service, and one whose answer nobody can trust: nothing is charged twice."""
    offline_taps(world, HANDFUL + 1)
    setattr(world.service, fault, False)
    report = sync(world.agent)
    assert [item.delivery for item in report.delivered] == [Delivery.ANSWERED] * (HANDFUL + 1)
    assert report.waiting == 0
    assert world.service.charged == 240 + 260 * (HANDFUL + 1)


def test_a_damaged_entry_in_a_chunk(world: World) -> None:
    """It stays, and is named once; the others are told together."""
    [first, *_] = offline_taps(world, HANDFUL + 1)
    world.agent.outbox.connection.execute(
        "UPDATE entry SET message = zeroblob(200) WHERE id = ?",
        (first.bytes,),  # type: ignore[attr-defined]  # it is an UUID
    )
    report = sync(world.agent)
    assert [item.detail for item in report.delivered] == ["outbox_damaged", *["approved"] * HANDFUL]
    assert report.waiting == 1


def test_it_says_how_it_is(world: World) -> None:
    """With each round, after what waited was told; a service that hears no such thing does not matter."""
    sync(world.agent)
    said = world.service.health[world.agent.terminal]
    assert (said["waiting"], said["oldest_waiting_at"]) == (0, None)
    assert said["trust_fetched_at"] is not None
    assert said["version"]
