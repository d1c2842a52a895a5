"""`pki serve`: the public face alone, under gunicorn."""

import os
from collections.abc import Callable
from typing import Any

from flask import Flask, Response
from gunicorn.app.base import BaseApplication
from werkzeug.exceptions import HTTPException

from pki.http.views import Publication, blueprint
from pki.ocsp import MAX_REQUEST_BYTES

# Ours: signing takes the processor, and threads wait for the records
_THREADS = 8


def create_app(publication: Publication, prefix: str) -> Flask:
    """The application, with its routes below `prefix`, which may be empty."""
    app = Flask("pki", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    app.register_blueprint(blueprint(lambda: publication), url_prefix=prefix or None)
    app.register_error_handler(HTTPException, _refused)
    return app


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no type information
    """gunicorn over a scheme that is opened in each worker: nothing open survives a fork."""

    def __init__(self, bind: str, workers: int, load: Callable[[], Flask]) -> None:
        self._bind, self._workers, self._load = bind, workers, load
        super().__init__()

    def load_config(self) -> None:
        """See gunicorn."""
        values: dict[str, Any] = {
            "bind": self._bind,
            "worker_class": "gthread",
            "workers": self._workers,
            "threads": _THREADS,
            "timeout": 60,
            "keepalive": 5,
            # RFC 5019, 5: a request by GET has 255 bytes
            "limit_request_line": 2048,
            "limit_request_fields": 40,
            "limit_request_field_size": 4096,
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108, PTH112 -- gunicorn's docs
            "control_socket_disable": True,
            "proc_name": "pki",
            # Who asks for whose status is nobody's business.
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application, in the worker."""
        return self._load()


def _refused(error: HTTPException) -> Response:
    """One line of text; what a browser would render is not wanted here."""
    response = Response(f"{error.code} {error.name}\n", error.code, content_type="text/plain; charset=utf-8")
    response.cache_control.no_store = True
    return response
