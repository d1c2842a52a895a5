"""Takes the power away in the middle of a write: the n-th call to the file system does not return."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# What a change of the card's file goes through, in some order.
CALLS = ("open", "write", "fsync", "replace", "unlink", "link")


class PowerLoss(BaseException):
    """Nothing after this happens; no `except Exception` may stop it."""


@contextmanager
def power_lost_at(call: int) -> Iterator[list[str]]:
    """Lose the power at this call, counted from 1. Half of what a write was given reaches the disk first.

    Gives the names of the calls so far; a block that makes fewer ends well.
    """
    made: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, _failing(name, getattr(os, name), made, call))
        yield made


def _failing(name: str, real: Any, made: list[str], call: int) -> Any:
    def wrapped(*arguments: Any, **options: Any) -> Any:
        made.append(name)
        if len(made) < call:
            return real(*arguments, **options)
        if name == "write" and len(made) == call:
            real(arguments[0], arguments[1][: len(arguments[1]) // 2])
        raise PowerLoss(name)

    return wrapped
