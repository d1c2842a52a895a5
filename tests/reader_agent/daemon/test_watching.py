"""Readers, cards, pcscd and the service, as their events tell of them."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.reader_agent.daemon.client import Daemon, Stream
from tests.reader_agent.daemon.conftest import Hand
from tests.reader_agent.world import World, blank_card
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers, wait_until


def test_a_card_comes_and_goes(hand: Hand, stream: Stream, daemon: Daemon) -> None:
    """Inserted, read, removed: under one handle, which status shows as long as the card is there."""
    since = len(stream.events)
    handle = hand.tap()
    assert {"reader": CONTACTLESS_READER, "connected": True, "tap": handle} in daemon.status()["readers"]
    hand.pull()
    stream.wait("card.removed", tap=handle)
    assert stream.kinds(since) == ["card.inserted", "card.ready", "card.removed"]
    assert {"reader": CONTACTLESS_READER, "connected": True, "tap": None} in daemon.status()["readers"]
    gone = daemon.pay(handle)
    assert (gone.status_code, gone.json()["code"]) == (410, "tap_over")


def test_the_same_card_again_is_another_tap(hand: Hand, stream: Stream) -> None:
    """A handle says nothing about whose card it is."""
    first = hand.tap()
    hand.pull()
    stream.wait("card.removed", tap=first)
    second = hand.tap()
    assert first != second
    assert len(first) >= 20


def test_two_readers(hand: Hand, stream: Stream, world: World, tmp_path: Path) -> None:
    """Each has its own card; one that goes leaves the other."""
    another = tmp_path / "another.json"
    world.issue_card(another)
    one, two = hand.tap(), hand.tap(CONTACT_READER, another)
    hand.pull(CONTACT_READER)
    stream.wait("card.removed", tap=two)
    assert "card.removed" not in [event.kind for event in stream.events if event.data.get("tap") == one]


def test_a_swapped_card_is_another_tap(hand: Hand, stream: Stream, world: World, tmp_path: Path) -> None:
    """As quickly as pcscd can see it: the old handle is dead, and the order of events tells what happened."""
    another = tmp_path / "another.json"
    world.issue_card(another)
    first = hand.tap()
    since = len(stream.events)
    hand.pull()
    second = hand.tap(card=another)
    assert [(event.kind, event.data["tap"]) for event in stream.events[since:]] == [
        ("card.removed", first),
        ("card.inserted", second),
        ("card.ready", second),
    ]


def test_a_swap_that_happened_between_two_looks(
    hand: Hand, stream: Stream, daemon: Daemon, world: World, tmp_path: Path
) -> None:
    """The daemon slept meanwhile: it finds a card before and after, and another count of events."""
    another = tmp_path / "another.json"
    world.issue_card(another)
    first = hand.tap()
    assert daemon.process is not None
    workers = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split()
    for worker in workers:
        signal_process(int(worker), signal.SIGSTOP)
    hand.pull()
    hand.readers.insert(CONTACTLESS_READER, another)
    for worker in workers:
        signal_process(int(worker), signal.SIGCONT)
    assert daemon.pay(first).json().get("decision") != "approved"
    stream.wait("card.removed", tap=first)
    second = stream.wait("card.inserted", since=[event.kind for event in stream.events].index("card.removed"))
    assert second.data["tap"] != first
    assert world.service.charged == 0


def test_a_card_that_is_none_of_ours(hand: Hand, stream: Stream, tmp_path: Path) -> None:
    """Refused with a reason, at once."""
    event = hand.insert(card=blank_card(tmp_path / "blank.json"))
    refused = stream.wait("card.refused", tap=event.data["tap"])
    assert refused.data["reason"] == "card_data_missing"


def test_a_revoked_card(hand: Hand, stream: Stream, world: World, daemon: Daemon, tmp_path: Path) -> None:
    """By the list that the terminal has, and the payment says so, too."""
    card = world.issue_card(tmp_path / "another.json")
    world.scheme.authority("cards").revoke(
        world.service.cards[card].serial_number, world.clock(), "key_compromise"
    )
    world.agent.fetch_trust()
    event = hand.insert(card=tmp_path / "another.json")
    assert stream.wait("card.refused", tap=event.data["tap"]).data["reason"] == "certificate_revoked"
    answer = daemon.pay(event.data["tap"]).json()
    assert (answer["decision"], answer["reason"]) == ("declined", "certificate_revoked")
    assert not world.service.received


def test_pcscd_is_killed_and_comes_back(
    hand: Hand, stream: Stream, readers: Readers, daemon: Daemon, world: World
) -> None:
    """Its readers are lost, the handle of the card that was there is dead; then a card pays again."""
    first = hand.tap()
    since = len(stream.events)
    readers.pcscd.kill()
    stream.wait("card.removed", since, tap=first)
    for reader in daemon.readers:
        stream.wait("reader.lost", since, reader=reader)
    assert daemon.pay(first).status_code == 410
    assert [view["connected"] for view in daemon.status()["readers"]] == [False, False]
    readers.pull_all()
    readers.pcscd.start()
    for reader in daemon.readers:
        stream.wait("reader.found", since, reader=reader)
    second = hand.tap()
    assert daemon.pay(second).json()["decision"] == "approved"
    assert world.service.charged == 240
    assert "card.inserted" not in stream.kinds(since)[: stream.kinds(since).index("reader.found")]


def test_pcscd_hangs_and_goes_on(
    hand: Hand, stream: Stream, readers: Readers, daemon: Daemon, world: World
) -> None:
    """It neither answers nor ends: no card is shown that may have gone; then the same card pays."""
    first = hand.tap()
    since = len(stream.events)
    process = readers.pcscd._process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        stream.wait("card.removed", since, tap=first)
        assert [view["connected"] for view in daemon.status()["readers"]] == [False, False]
        assert daemon.pay(first).status_code == 410
    finally:
        process.send_signal(signal.SIGCONT)
    second = str(stream.wait("card.inserted", since, reader=CONTACTLESS_READER).data["tap"])
    stream.wait("card.ready", since, tap=second)
    assert daemon.pay(second).json()["decision"] == "approved"
    assert world.service.charged == 240


def test_without_pcscd_it_starts_and_waits(world: World, readers: Readers, tmp_path: Path) -> None:
    """Absent at first: status says so, and the readers are found when it comes; all from nothing."""
    readers.pcscd.stop()
    log = tmp_path / "daemon.log"
    daemon = Daemon(world.directory.path, (CONTACTLESS_READER,), readers.environment, log, is_cold=True)
    try:
        daemon.start()
        stream = daemon.listen()
        snapshot = stream.wait("status").data
        assert snapshot["readers"] == [{"reader": CONTACTLESS_READER, "connected": False, "tap": None}]
        readers.pcscd.start()
        stream.wait("reader.found", reader=CONTACTLESS_READER)
    finally:
        daemon.close()


def test_the_service_goes_and_comes(stream: Stream, world: World, daemon: Daemon) -> None:
    """Online at first; when it does not answer the badge changes with a reason, and back."""
    assert daemon.status()["service"]["online"] is True
    world.service.stop()
    refused = daemon.post("/v1/outbox/sync", {})
    assert (refused.status_code, refused.json()["code"]) == (503, "service_unreachable")
    stream.wait("service.offline", reason="service_unreachable")
    since = len(stream.events)
    world.service.start()
    stream.wait("service.online", since)


def test_a_listener_resumes(hand: Hand, stream: Stream, daemon: Daemon) -> None:
    """By the last id that it has heard: what came since, once, and no status before it."""
    known, last = len(stream.events), stream.events[-1].id
    handle = hand.tap()
    hand.pull()
    stream.wait("card.removed", tap=handle)
    resumed = daemon.listen(last)
    resumed.wait("card.removed", tap=handle)
    assert resumed.events == stream.events[known:]


def test_a_listener_that_cannot_resume_is_told_everything(hand: Hand, daemon: Daemon) -> None:
    """An id of another run, of the future, or none at all: the state of everything comes first."""
    handle = hand.tap()
    epoch = hand.stream.events[0].id.partition("-")[0]
    for last in ("00000000-1", f"{epoch}-999999", "nonsense", f"{epoch}--1", None):
        first = daemon.listen(last).wait("status")
        assert {"reader": CONTACTLESS_READER, "connected": True, "tap": handle} in first.data["readers"]


def test_nothing_personal_is_told_or_logged(
    hand: Hand, stream: Stream, daemon: Daemon, world: World, personal: Callable[[], list[str]]
) -> None:
    """After a payment, one offline, and one that broke off: no number of a card, no trip, no balance."""
    assert daemon.pay(hand.tap()).json()["decision"] == "approved"
    hand.pull()
    stream.wait("card.removed")
    world.service.stop()
    since = len(stream.events)
    handle = hand.tap()
    assert daemon.pay(handle).json()["offline"] is True
    stream.wait("outbox.queue", since, waiting=1)
    hand.pull()
    stream.wait("card.removed", since)
    told = stream.text + daemon.log + daemon.get("/v1/status").text + daemon.get("/v1/outbox").text
    for text in [*personal(), "balance", "amount", daemon.token]:
        assert text not in told, text
    assert handle not in daemon.log


def signal_process(process: int, number: signal.Signals) -> None:
    """Send a signal to a process of the daemon, and wait until it has stopped or goes on."""
    os.kill(process, number)
    if number is signal.SIGSTOP:
        status = Path(f"/proc/{process}/stat")
        wait_until(lambda: status.read_text().rpartition(") ")[2][0] == "T", "the process to stop")
