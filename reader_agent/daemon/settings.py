"""How a daemon is run: what was asked for at its start, and its limits."""

from dataclasses import dataclass
from pathlib import Path

from reader_agent.config import AgentDirectory
from reader_agent.transport.access import SHARED, Access

# Ours. Below the ports that the system hands out to outgoing connections (32768 and up).
DEFAULT_PORT = 7410
# Nothing else, ever: the API is for programs on this machine.
HOST = "127.0.0.1"
TOKEN_FILE = "api-token"  # noqa: S105 -- the name of a file
LOCK_FILE = "daemon.lock"
PAYMENTS_FILE = "payments.sqlite"

# A request is a basket, not a document.
MAX_BODY_BYTES = 64 * 1024
# Each stream holds a thread for as long as a face listens.
MAX_STREAMS = 16
THREADS = MAX_STREAMS + 16


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """One daemon: the agent that it is, the readers that it watches, and where it listens."""

    directory: AgentDirectory
    # As the faces name them: the readers' names, or their beginnings
    readers: tuple[str, ...]
    port: int
    # How cards are connected to
    access: Access = SHARED

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """The `Host` headers that mean this daemon. Any other came by a name that somebody else controls."""
        return frozenset({f"{HOST}:{self.port}", f"localhost:{self.port}"})

    @property
    def origins(self) -> frozenset[str]:
        """The `Origin` headers of pages that may ask: of this daemon's own, and it has none."""
        return frozenset(f"http://{host}" for host in self.hosts)

    @property
    def token_file(self) -> Path:
        """Holds what each request must carry."""
        return self.directory.path / TOKEN_FILE

    @property
    def lock_file(self) -> Path:
        """Held for as long as a daemon runs on this folder."""
        return self.directory.path / LOCK_FILE

    @property
    def payments_file(self) -> Path:
        """The keys of payments, and which transactions they led to."""
        return self.directory.path / PAYMENTS_FILE
