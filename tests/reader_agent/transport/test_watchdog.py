"""Calls with a limit: what comes back, what does not, and whose threads they use."""

import os
import threading
from collections.abc import Iterator
from queue import Empty

import pytest

from reader_agent.errors import CardSilent
from reader_agent.transport import watchdog
from reader_agent.transport.watchdog import call_with_limit


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """What calls hang on, until the end of the test."""
    event = threading.Event()
    yield event
    event.set()


def test_calls_after_each_other_share_a_thread() -> None:
    """In another one than the caller's."""
    threads = {call_with_limit(threading.get_ident, 60.0) for _ in range(20)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_what_is_raised_comes_over_and_the_next_call_is_another() -> None:
    """Queue's own Empty, too, which is no silence."""
    for error in (KeyError("one"), Empty()):

        def fail(error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error)):
            call_with_limit(fail, 60.0)
    assert call_with_limit(lambda: 7, 60.0) == 7


def test_a_call_that_hangs_is_left_behind(stuck: threading.Event) -> None:
    """Its answer, when it comes, is nobody's: the next call gets its own."""
    came = threading.Event()

    def hang() -> str:
        stuck.wait(60.0)
        came.set()
        return "late"

    with pytest.raises(CardSilent):
        call_with_limit(hang, 0.05)
    assert call_with_limit(lambda: "own", 60.0) == "own"
    stuck.set()
    assert came.wait(60.0)
    assert call_with_limit(lambda: "own", 60.0) == "own"


def test_a_child_process_has_threads_of_its_own() -> None:
    """What a fork leaves behind in it are no threads: it would wait for them until the limit."""
    call_with_limit(os.getpid, 60.0)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, str(call_with_limit(os.getpid, 20.0)).encode())
        finally:
            os._exit(0)
    os.close(write)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read) as answer:
        assert (status, answer.read()) == (0, str(child))


def test_many_at_once() -> None:
    """Each has a thread of its own, also where there are more than are kept."""
    barrier = threading.Barrier(watchdog.MOST_IDLE + 3)
    places: list[int] = []

    def call() -> None:
        places.append(call_with_limit(lambda: barrier.wait(60.0), 60.0))

    callers = [threading.Thread(target=call) for _ in range(barrier.parties)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(places) == list(range(barrier.parties))
