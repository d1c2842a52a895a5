"""Numbers for Prometheus, counted from the log's lines, and the face on loopback that tells them.

No label says whose: a request is counted by its route's template, its method and its status, a problem by its
code. Terminals, cards and payers are in none of them, and nothing that a caller writes makes a new label.

The processes of the service write into one folder, which `cardservice serve` makes anew; whichever is asked
adds all of them up.
"""

import logging
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from cardservice.api import request_log
from cardservice.config import Admin
from cardservice.ledger import nodes

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/metrics"
_HEALTH = ("/healthz/live", "/healthz/ready")
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
_NOT_HERE = b"There are /metrics and /healthz here.\n"
# An authorisation takes a few milliseconds, a chunk of advices seconds.
_BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Counting(logging.Handler):
    """Counts what `request_log` notes of each request."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(logging.INFO)
        self._requests = Counter(
            "cardservice_requests",
            "Requests that were answered",
            ("method", "route", "status"),
            registry=registry,
        )
        self._problems = Counter(
            "cardservice_problems", "Problem documents that were answered", ("code",), registry=registry
        )
        self._duration = Histogram(
            "cardservice_request_duration_seconds",
            "How long requests took",
            ("route",),
            buckets=_BUCKETS_S,
            registry=registry,
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Count one line; a line that is none of a request is nobody's number."""
        members: dict[str, Any] | None = getattr(record, "members", None)
        if members is None:
            return
        route = members["route"] or "none"
        method = members["method"] if members["method"] in _METHODS else "other"
        self._requests.labels(method, route, str(members["status"])).inc()
        self._duration.labels(route).observe(members["duration_ms"] / 1000)
        if members["code"] is not None:
            self._problems.labels(members["code"]).inc()


class CountingNodes(logging.Handler):
    """Counts what `ledger.nodes` notes of the nodes of a cluster. A node is named by its address and port."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(logging.INFO)
        self._failures = Counter(
            "cardservice_node_failures",
            "Times that a process left a node alone, since it did not answer",
            ("node",),
            registry=registry,
        )
        self._returns = Counter(
            "cardservice_node_returns", "Times that it answered a process again", ("node",), registry=registry
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Count one line."""
        node: str | None = getattr(record, "node", None)
        if node is None:
            return
        counted = self._failures if getattr(record, "failed", False) else self._returns
        counted.labels(node).inc()


class AdminFace:
    """The WSGI application with a second face, for who watches the service on its own machine.

    What comes by the administrative socket finds numbers and health there and nothing else; what comes by any
    other does not find the numbers. The socket tells, not a header, which anybody could write.
    """

    def __init__(self, app: "WSGIApplication", admin: Admin) -> None:
        self._app, self._admin = app, admin
        request_log.log.addHandler(Counting(CollectorRegistry()))
        nodes.log.addHandler(CountingNodes(CollectorRegistry()))

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        if not self._is_administrative(environ.get("gunicorn.socket")) or environ["PATH_INFO"] in _HEALTH:
            return self._app(environ, start_response)
        if environ["PATH_INFO"] != PATH:
            status, kind, body = "404 NOT FOUND", "text/plain; charset=utf-8", _NOT_HERE
        else:
            status, kind, body = "200 OK", CONTENT_TYPE_LATEST, exposition()
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    def _is_administrative(self, peer: object) -> bool:
        if not isinstance(peer, socket.socket) or peer.family not in {socket.AF_INET, socket.AF_INET6}:
            return False
        return bool(peer.getsockname()[:2] == (self._admin.host, self._admin.port))


def exposition() -> bytes:
    """All processes' numbers, in Prometheus' text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # its author left it so
    return generate_latest(registry)
