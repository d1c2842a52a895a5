"""Handles, events and pauses by themselves, where their boundaries are."""

import pytest

from reader_agent.daemon import events
from reader_agent.daemon.errors import TapBusy, TapOver, TapSpent, TapUnknown, TooManyStreams
from reader_agent.daemon.events import EventKind, EventLog, Streams
from reader_agent.daemon.keeper import Pauses
from reader_agent.daemon.taps import HANDLE_LIFETIME_S, KEPT_HANDLES, Taps
from reader_agent.transport.slots import Slot

SLOT = Slot("Kiosk 00 00", True, 7, 0)


class Seconds:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_handle_that_nobody_asks_for_dies() -> None:
    """Each use makes it live on; one second too long and it is over for good."""
    seconds = Seconds()
    taps = Taps(seconds)
    handle = taps.begin("Kiosk", SLOT).handle
    for _ in range(3):
        seconds.now += HANDLE_LIFETIME_S
        assert taps.find(handle).reader == "Kiosk"
    seconds.now += HANDLE_LIFETIME_S + 1
    with pytest.raises(TapOver):
        taps.find(handle)
    seconds.now -= HANDLE_LIFETIME_S
    with pytest.raises(TapOver):
        taps.begin_payment(handle)


def test_handles_are_forgotten_in_the_end() -> None:
    """A bounded number is remembered: the oldest is unknown, not over."""
    taps = Taps()
    first = taps.begin("Kiosk", SLOT)
    others = [taps.begin("Kiosk", SLOT) for _ in range(KEPT_HANDLES)]
    with pytest.raises(TapUnknown):
        taps.find(first.handle)
    assert taps.find(others[0].handle) == others[0]
    assert len({tap.handle for tap in others}) == KEPT_HANDLES


def test_a_tap_pays_once() -> None:
    """Busy while it pays, free after a failure, spent after a sale."""
    taps = Taps()
    tap = taps.begin("Kiosk", SLOT)
    taps.begin_payment(tap.handle)
    with pytest.raises(TapBusy):
        taps.begin_payment(tap.handle)
    taps.end_payment(tap, has_paid=False)
    taps.begin_payment(tap.handle)
    taps.end_payment(tap, has_paid=True)
    with pytest.raises(TapSpent):
        taps.begin_payment(tap.handle)


@pytest.mark.parametrize(
    ("heard", "resumes"), [(1, False), (2, True), (4, True), (5, True), (6, False)], ids=str
)
def test_what_was_forgotten_cannot_be_resumed(heard: int, resumes: bool) -> None:
    """Five events, of which three are kept: after the second nothing is missing, after the first it is."""
    log = EventLog(kept=3)
    for number in range(5):
        log.publish(EventKind.QUEUE, {"waiting": number})
    assert log.resume_at(log.event_id(heard)) == (heard if resumes else None)
    later = log.after(min(heard, 5), 0)
    assert (later is None) == (heard < 2)
    assert resumes is False or [event.number for event in later or []] == list(range(heard + 1, 6))


def test_a_listener_that_falls_behind_is_told_everything() -> None:
    """More came than is kept: it gets the state of everything instead, and goes on from there."""
    log = EventLog(kept=2)
    streams = Streams(log, dict, 1)
    stream = streams.open(None)
    assert next(stream).startswith("retry:")
    assert "event: status" in next(stream)
    for number in range(5):
        log.publish(EventKind.QUEUE, {"waiting": number})
    again = next(stream)
    assert "event: status" in again
    assert f"id: {log.event_id(5)}" in again
    log.publish(EventKind.QUEUE, {"waiting": 9})
    assert next(stream).endswith('data: {"waiting":9}\n\n')


def test_a_stream_on_which_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so now and then: that is how a listener that went away is noticed."""
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.01)
    log = EventLog()
    stream = Streams(log, dict, 1).open(log.event_id(0))
    assert [next(stream) for _ in range(3)][1:] == [": still here\n\n"] * 2


def test_a_closed_log_ends_its_streams() -> None:
    """One that waits and one that has just begun; what has happened before is told."""
    log = EventLog()
    streams = Streams(log, dict, 2)
    waiting, begun = streams.open(log.event_id(0)), streams.open(None)
    assert next(waiting).startswith("retry:")
    log.publish(EventKind.QUEUE, {"waiting": 1})
    assert "outbox.queue" in next(waiting)
    log.close()
    assert list(waiting) == []
    assert [next(begun)[:6], *begun] == ["retry:"]


def test_streams_that_never_began_are_given_back() -> None:
    """A listener that goes before the first byte takes no place for ever; nor is one given back twice."""
    streams = Streams(EventLog(), dict, 1)
    for _ in range(3):
        stream = streams.open(None)
        with pytest.raises(TooManyStreams):
            streams.open(None)
        for _ in range(2):
            stream.close()  # type: ignore[attr-defined]  # as a WSGI server does


def test_pauses_grow_to_their_end() -> None:
    """Doubled with some chance in them, up to the longest, and short again after a success."""
    pauses = Pauses(1.0, 5.0)
    for expected in (1, 2, 4, 5, 5):
        assert 0.8 * expected <= pauses.next_s() <= 1.2 * expected
    pauses.reset()
    assert pauses.next_s() <= 1.2
