"""The targets by name."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tests.fuzzing.card import card
from tests.fuzzing.codecs import codecs
from tests.fuzzing.http import http
from tests.fuzzing.session import session


class Target(Protocol):
    """Any bytes go in; nothing comes out, not even an exception, unless something is wrong."""

    def __call__(self, data: bytes) -> None:
        """Try these bytes."""
        ...

    def seeds(self) -> list[bytes]:
        """Inputs to begin with."""
        ...


# Each is opened in a folder of its own, where it makes what it needs once.
TARGETS: Mapping[str, Callable[[Path], AbstractContextManager[Target]]] = {
    "codecs": codecs,
    "card": card,
    "session": session,
    "http": http,
}
