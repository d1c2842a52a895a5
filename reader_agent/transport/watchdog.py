"""A limit for calls that may never return: a silent card blocks its caller until somebody pulls it."""

import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from reader_agent.errors import CardSilent

T = TypeVar("T")

# Ours: a card takes one at a time, so this is for as many readers. Others end with their call.
MOST_IDLE: Final = 4


class _Worker:
    """A thread that makes one call after another: starting one for each takes longer than most answers."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()
        threading.Thread(target=self._run, name="card call", daemon=True).start()

    def call(self, function: Callable[[], Any], timeout_s: float) -> tuple[Any, Exception | None]:
        """What it has returned, or raised. Raises Empty if it has not come back: it is still at it."""
        self._calls.put(function)
        return self._answers.get(timeout=timeout_s)

    def dismiss(self) -> None:
        """End the thread, as soon as the call that it may be in has come back."""
        self._calls.put(None)

    def _run(self) -> None:
        while (function := self._calls.get()) is not None:
            self._answers.put(_outcome(function))
            del function  # it holds on to what it was about


def _outcome(function: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return function(), None
    except Exception as error:  # noqa: BLE001 -- carried over to the caller's thread, whatever it is
        return None, error


_idle: list[_Worker] = []
# The threads of a parent are not in its child, which would wait for them.
os.register_at_fork(after_in_child=_idle.clear)


def call_with_limit(function: Callable[[], T], timeout_s: float) -> T:
    """What `function` returns or raises; CardSilent if it has not come back after `timeout_s`.

    A call that does not come back is left behind in its thread, which the end of the process does not wait
    for. Whatever it was working on must not be used again.
    """
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    try:
        answer, error = worker.call(function, timeout_s)
    except BaseException as left_behind:
        worker.dismiss()
        if isinstance(left_behind, Empty):
            raise CardSilent(timeout_s) from None
        raise
    if len(_idle) < MOST_IDLE:
        _idle.append(worker)
    else:
        worker.dismiss()
    if error is not None:
        raise error
    result: T = answer
    return result
