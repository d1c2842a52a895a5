"""A limit for calls that may never return: a silent card blocks its caller until somebody pulls it."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from reader_agent.errors import CardSilent

T = TypeVar("T")


class _Call(Generic[T]):
    """One call in a thread of its own, with what became of it."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self.done = threading.Event()
        self.result: T | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.result = self._function()
        except Exception as error:  # noqa: BLE001 -- carried over to the caller's thread, whatever it is
            self.error = error
        self.done.set()


def call_with_limit(function: Callable[[], T], timeout_s: float) -> T:
    """What `function` returns or raises; CardSilent if it has not come back after `timeout_s`.

    A call that does not come back is left behind in its thread, which the end of the process does not wait
    for. Whatever it was working on must not be used again.
    """
    call = _Call(function)
    threading.Thread(target=call.run, name="card call", daemon=True).start()
    if not call.done.wait(timeout_s):
        raise CardSilent(timeout_s)
    if call.error is not None:
        raise call.error
    return call.result  # type: ignore[return-value]  # set whenever there is no error
