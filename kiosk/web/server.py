"""A face as a process: one socket on loopback, gunicorn with threads in one worker.

The socket is bound here, before gunicorn is told of it: a port that is taken is one sentence, and nothing but
loopback is ever listened on. The application is made in the worker: what it holds does not survive a fork.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from kiosk.errors import PortTaken
from kiosk.web.face import HOST, Face

# Each event stream holds a thread for as long as its page is open.
MAX_STREAMS = 8
THREADS = MAX_STREAMS + 8
# A payment that is under way when the face is ended is given so long.
GRACE_S = 30

Ready = Callable[[Face], None]


class Serving:
    """Whether the server goes on; event streams end themselves when it does not."""

    def __init__(self) -> None:
        self._look: Callable[[], bool] = lambda: True

    def __bool__(self) -> bool:
        """Whether it is not being ended."""
        return self._look()

    def follow(self, look: Callable[[], bool]) -> None:
        """Ask `look` from now on."""
        self._look = look


Build = Callable[[Face, Serving], Flask]


def serve(face: Face, build: Build, ready: Ready) -> None:
    """Serve what `build` makes until SIGTERM or SIGINT; port 0 takes a free one.

    `ready` is called, in the process that serves, when requests are answered. Raises PortTaken.
    """
    with _listener(face.port) as listener:
        bound = replace(face, port=listener.getsockname()[1])
        _Server(bound, build, ready, listener.detach()).run()


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no type information
    """gunicorn, set up for one worker of threads."""

    def __init__(self, face: Face, build: Build, ready: Ready, descriptor: int) -> None:
        self._face, self._build, self._ready, self._descriptor = face, build, ready, descriptor
        self._serving = Serving()
        super().__init__()

    def load_config(self) -> None:
        """See gunicorn."""
        values: dict[str, Any] = {
            "bind": f"fd://{self._descriptor}",
            "worker_class": "gthread",
            "workers": 1,
            "threads": THREADS,
            "graceful_timeout": GRACE_S,
            "keepalive": 5,
            "limit_request_line": 2048,
            "limit_request_fields": 60,
            "limit_request_field_size": 4096,
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108, PTH112 -- gunicorn's docs
            "control_socket_disable": True,
            "proc_name": f"kiosk-{self._face.name}",
            # No line for each request: a path may hold a tap's handle.
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "post_worker_init": self._started,
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application, in the worker."""
        return self._build(self._face, self._serving)

    def _started(self, worker: Any) -> None:
        self._serving.follow(lambda: bool(worker.alive))
        if worker.age == 1:  # not by one that takes the place of another that died
            self._ready(self._face)


def _listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortTaken(port, error.strerror or "") from error
    return listener
