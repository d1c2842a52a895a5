"""One line of JSON for each request, and for whatever else the service logs: no body, no query, no names.

A line carries the route's template and not its path, which may hold an identifier; the terminal; and the
problem's code. Who paid what is in the ledger, under its rights, and not in logs.
"""

import json
import logging
import sys
import time
import traceback
from datetime import UTC, datetime

from flask import Flask, Response, g, request
from sqlalchemy.exc import StatementError

log = logging.getLogger("cardservice.requests")
# Made once: `json.dumps` makes one for each text that it writes in another way than its own.
_written = json.JSONEncoder(ensure_ascii=False).encode


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
        if record.exc_info and record.exc_info[1] is not None:
            entry["error"] = _told(record.exc_info[1])
        return _written(entry)


def configure() -> None:
    """Send this process's log to standard error as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def register(app: Flask) -> None:
    """Log each request of `app` when it is answered."""

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def answered(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else None
        terminal, code = g.get("terminal"), g.get("problem_code")
        note(request.method, route, response.status_code, g.started, terminal, code)
        return response


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
    log.info("request", extra={"members": members})


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
