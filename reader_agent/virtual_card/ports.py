"""TCP ports for virtual readers, kept apart between all processes of a machine that take theirs here.

pcscd opens the ports itself, so that none can be held for it by binding it beforehand. Instead each port is
claimed by a name in Linux's abstract socket namespace: it is taken by one at a time, goes with its process
and leaves nothing on the disk. All lie below 32768, where the kernel takes none for outgoing connections.
"""

import errno
import random
import socket
from types import TracebackType
from typing import Final, Self

from reader_agent.virtual_card.errors import ReadersUnavailable

FIRST: Final = 20_000
LAST: Final = 32_000
SLOTS: Final = 2  # the driver opens a port for each of a reader's two slots, side by side


class PortClaim:
    """The pair of ports `port` and `port + 1`, ours until closed."""

    def __init__(self, port: int, claim: socket.socket) -> None:
        self.port, self._claim = port, claim

    @classmethod
    def take(cls) -> Self:
        """Claim a pair that nobody has claimed and nobody listens on. Raises ReadersUnavailable."""
        # Chance spreads those who start at once; it decides nothing else.
        ports = random.sample(range(FIRST, LAST, SLOTS), (LAST - FIRST) // SLOTS)
        for port in ports:
            claim = _claim(port)
            if claim is None:
                continue
            if all(_is_free(port + slot) for slot in range(SLOTS)):
                return cls(port, claim)
            claim.close()
        raise ReadersUnavailable(f"no two neighbouring TCP ports are free from {FIRST} to {LAST}")

    @property
    def is_free(self) -> bool:
        """Whether pcscd could open both ports now."""
        return all(_is_free(self.port + slot) for slot in range(SLOTS))

    def close(self) -> None:
        """Let others have the ports."""
        self._claim.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _claim(port: int) -> socket.socket | None:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        claim.bind(f"\0citizen-card/virtual-reader/{port}")
    except OSError as error:
        claim.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return claim


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - as the driver does, to learn whether it could
        except OSError:
            return False
    return True
