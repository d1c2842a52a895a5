"""Which face it is, and where it listens."""

from dataclasses import dataclass

# Nothing else, ever: a face is for the screen of the machine that it runs on.
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Face:
    """A face by its name, such as `till`, and its port; 0 until a free one is bound."""

    name: str
    port: int

    @property
    def url(self) -> str:
        """Where a browser opens it."""
        return f"http://{HOST}:{self.port}/"

    @property
    def hosts(self) -> frozenset[str]:
        """The `Host` headers that mean this face. Any other came by a name that somebody else controls."""
        return frozenset({f"{HOST}:{self.port}", f"localhost:{self.port}"})

    @property
    def origins(self) -> frozenset[str]:
        """The `Origin` headers of its own pages."""
        return frozenset(f"http://{host}" for host in self.hosts)

    @property
    def cookie(self) -> str:
        """Its session's cookie. Cookies are shared between the ports of a host, so that the port is in it."""
        return f"kiosk-{self.name}-{self.port}"
