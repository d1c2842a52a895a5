"""Two things measured in turns on one core, in short slices: whatever else the machine does falls on both."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

Action = Callable[[], object]

TURNS = 15


def in_turns(one: Action, other: Action, seconds: float, *, at_once: int = 20) -> tuple[float, float]:
    """The median rates of both, a second each; both together take `seconds`.

    The clock is looked at after `at_once` of a kind: 1 for what takes long itself.
    """
    one(), other()
    each_s = seconds / TURNS / 2
    rates = [(_rate(one, each_s, at_once), _rate(other, each_s, at_once)) for _ in range(TURNS)]
    return median(first for first, _ in rates), median(second for _, second in rates)


@contextmanager
def on_one_core() -> Iterator[None]:
    """Neither moved about nor helped by another core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _rate(action: Action, seconds: float, at_once: int) -> float:
    done, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        for _ in range(at_once):
            action()
        done += at_once
    return done / passed
