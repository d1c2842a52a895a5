"""The daemon as a process: one folder, one socket on loopback, gunicorn with threads in one worker.

The socket is bound here, before gunicorn is told of it: a port that is taken is one sentence, and nothing but
loopback is ever listened on. The worker makes the runtime: what it holds (threads, PC/SC, databases) does not
survive a fork.
"""

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

from pki.clock import Clock
from reader_agent.agent import Agent
from reader_agent.daemon.app import create_app
from reader_agent.daemon.errors import DaemonRunning, PortTaken
from reader_agent.daemon.runtime import PAY_LIMIT_S, Runtime
from reader_agent.daemon.security import make_token
from reader_agent.daemon.settings import HOST, THREADS, DaemonSettings

Ready = Callable[[DaemonSettings], None]


def run(settings: DaemonSettings, clock: Clock, ready: Ready) -> None:
    """Serve until SIGTERM or SIGINT, which let running payments end; port 0 takes a free one.

    `ready` is called, in the process that serves, when requests are answered. Raises ConfigInvalid,
    DaemonRunning, PortTaken.
    """
    Agent(settings.directory, clock).close()  # what is wrong with the folder is said now, in words
    with _only_one(settings), _listener(settings.port) as listener:
        bound = replace(settings, port=listener.getsockname()[1])
        token = make_token(bound)
        _Server(bound, clock, token, listener.detach(), ready).run()


class _Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no type information
    """gunicorn's, which waits for event streams at its end: they are told of it at once."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See gunicorn."""
        super().handle_exit(sig, frame)
        # Not here: a signal's handler that waits for a lock may wait for its own thread.
        self.method_queue.defer(self.app.end_streams)


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no type information
    """gunicorn, set up for one worker of threads."""

    def __init__(
        self, settings: DaemonSettings, clock: Clock, token: str, descriptor: int, ready: Ready
    ) -> None:
        self._settings, self._clock, self._token, self._ready = settings, clock, token, ready
        self._descriptor = descriptor
        self._runtime: Runtime | None = None
        super().__init__()

    def load_config(self) -> None:
        """See gunicorn."""
        values: dict[str, Any] = {
            "bind": f"fd://{self._descriptor}",
            "worker_class": _Worker,
            "workers": 1,
            "threads": THREADS,
            # Payments under way are ended before the process is.
            "graceful_timeout": int(PAY_LIMIT_S),
            "keepalive": 5,
            "limit_request_line": 2048,
            "limit_request_fields": 40,
            "limit_request_field_size": 4096,
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108, PTH112 -- gunicorn's docs
            "control_socket_disable": True,
            "proc_name": "reader-agent",
            # No line for each request: a path holds a tap's handle.
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "pre_request": _last_of_its_connection,
            "post_worker_init": self._started,
            "worker_exit": self._exited,
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application, in the worker."""
        self._runtime = Runtime(self._settings, self._clock)
        return create_app(self._runtime, self._token)

    def end_streams(self) -> None:
        """Before what was asked is answered, and the worker is asked to go."""
        if self._runtime is not None:
            self._runtime.events.close()

    def _started(self, worker: Any) -> None:
        if self._runtime is not None:
            self._runtime.start()
            if worker.age == 1:  # not by one that takes the place of another that died
                self._ready(self._settings)

    def _exited(self, _server: Any, _worker: Any) -> None:
        if self._runtime is not None:
            self._runtime.stop()


def _last_of_its_connection(_worker: Any, request: Any) -> None:
    """Nothing comes after an event stream: gunicorn need not wait for it when it ends."""
    if request.path == "/v1/events":
        request.force_close()


@contextmanager
def _only_one(settings: DaemonSettings) -> Iterator[None]:
    """Raises DaemonRunning where a daemon runs on this folder."""
    descriptor = os.open(settings.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise DaemonRunning(settings.directory.path) from error
    try:
        yield
    finally:
        os.close(descriptor)


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
