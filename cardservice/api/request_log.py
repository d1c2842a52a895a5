"""One line of JSON for each request, and for whatever else the service logs: no body, no query, no names.

A line carries the route's template and not its path, which may hold an identifier; the terminal; and the
problem's code. Who paid what is in the ledger, under its rights, and not in logs.

Each request has a number of its own, drawn here whatever the caller sends: its answer carries it as
`Request-Id`, and so does every line that the request's thread or greenlet writes.
"""

import json
import logging
import os
import sys
import time
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime

from flask import Flask, Response, g, request
from sqlalchemy.exc import StatementError

log = logging.getLogger("cardservice.requests")
# Made once: `json.dumps` makes one for each text that it writes in another way than its own.
_written = json.JSONEncoder(ensure_ascii=False).encode
REQUEST_ID = "Request-Id"
_request: ContextVar[str | None] = ContextVar("request", default=None)


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        entry: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "members", {}),
        }
        if (request_id := _request.get()) is not None:
            entry["request"] = request_id
        if record.exc_info and record.exc_info[1] is not None:
            entry["error"] = _told(record.exc_info[1])
        return _written(entry)


def configure() -> None:
    """Send this process's log to standard error as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    # No line says them, and each of a request's would look them up (logging's "Optimization").
    logging.logThreads = logging.logMultiprocessing = False
    logging.getLogger("alembic").setLevel(logging.WARNING)


def register(app: Flask) -> None:
    """Log each request of `app` when it is answered."""

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()
        g.request_id = begin()

    @app.after_request
    def answered(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else None
        terminal, code = g.get("terminal"), g.get("problem_code")
        response.headers[REQUEST_ID] = g.request_id
        note(request.method, route, response.status_code, g.started, terminal, code)
        return response


def begin() -> str:
    """The number of the request that begins here, until its line is written."""
    request_id = os.urandom(8).hex()
    _request.set(request_id)
    return request_id


def number() -> str:
    """The number of the request that goes on here; drawn where it was ended before it had one."""
    return _request.get() or begin()


def note(
    method: str, route: str | None, status: int, started: float, terminal: str | None, code: str | None
) -> None:
    """Log a request that has been answered; `started` is of `time.perf_counter`."""
    members = {
        "method": method,
        "route": route,
        "status": status,
        "duration_ms": round((time.perf_counter() - started) * 1000, 1),
        "terminal": terminal,
        "code": code,
    }
    if log.isEnabledFor(logging.INFO):
        # What `log.info` would make, but for where it was called, which is looked for frame by frame.
        log.handle(
            log.makeRecord(
                log.name, logging.INFO, __file__, 0, "request", (), None, extra={"members": members}
            )
        )
    # Threads and kept connections go on: what they write next is another request's, or nobody's.
    _request.set(None)


def _told(error: BaseException) -> list[str]:
    """An error and what caused it, with their places in the code.

    What a database says of an error may quote rows and parameters, names among them: of those only the kind.
    """
    chain: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        of_database = isinstance(seen, StatementError) or type(seen).__module__.startswith(
            ("psycopg", "sqlite3")
        )
        chain.append(type(seen).__name__ if of_database else f"{type(seen).__name__}: {seen}")
        frames = traceback.extract_tb(seen.__traceback__)
        chain.extend(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
        seen = seen.__cause__ or seen.__context__
    return chain
