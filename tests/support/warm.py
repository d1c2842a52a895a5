"""Console scripts without their start: forked from one process that has imported what they need.

Half a journey's time would go into starting Python and importing the same modules again, for each command
that somebody types. `run` and `begin` give a command a process of its own, with its own arguments,
environment and output, as the shell does; only the imports are done before. That a script starts from nothing
is shown by those that stay: `cardservice serve`, the demonstration and its programs.

The process ends with the one that has asked for it, since its standard input does.
"""

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

import click

PROJECT = Path(__file__).parents[2]
START_TIMEOUT_S = 120.0
# The function behind each console script, as setup.cfg names it.
SCRIPTS = {
    "cardservice": "cardservice.cli",
    "reader-agent": "reader_agent.cli",
    "pki": "pki.cli",
    "kiosk": "kiosk.cli",
}
# What commands import when they are called.
LATER = (
    "cardservice.setup",
    "kiosk.till",
    "kiosk.validator",
    "kiosk.web",
    "gunicorn.workers.gthread",
    "psycopg",
    "reader_agent.daemon.server",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
)
_MESSAGE = 1 << 20


class Begun:
    """A command that has begun in a process of its own; used as a `subprocess.Popen`."""

    def __init__(self, args: Sequence[str], connection: socket.socket) -> None:
        self.args = args
        self.returncode: int | None = None
        self._connection = connection
        self._answers = connection.makefile("r", encoding="ascii")
        self.pid = int(self._answers.readline())

    def poll(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None while it goes on."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self._note()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The same, once it has ended. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self._note()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """As `kill` does, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _note(self) -> None:
        line = self._answers.readline()
        self._answers.close()
        self._connection.close()
        self.returncode = int(line)


def begin(command: Sequence[str], environment: Mapping[str, str], stdout: IO[Any], stderr: IO[Any]) -> Begun:
    """Begin a console script; what it writes goes to these files."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(_address())
    asked = json.dumps({"command": list(command), "environment": dict(environment)}).encode()
    socket.send_fds(connection, [len(asked).to_bytes(4)], [stdout.fileno(), stderr.fileno()])
    connection.sendall(asked)
    return Begun(command, connection)


def run(
    command: Sequence[str], environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a console script to its end. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begun = begin(command, environment, out, err)
        try:
            status = begun.wait(timeout)
        except subprocess.TimeoutExpired:
            begun.kill()
            begun.wait()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(command), status, out.read(), err.read())


@cache
def _address() -> str:
    """The socket of this process's own server, started when it is first asked for."""
    folder = tempfile.mkdtemp(prefix="citizen-card-warm-")
    path = str(Path(folder) / "socket")
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm", path],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    ready = select.select([server.stdout], [], [], START_TIMEOUT_S)[0] and server.stdout.readline()
    assert ready, "the process that console scripts are forked from does not start"
    server.stdout.close()

    def end() -> None:
        assert server.stdin is not None
        server.stdin.close()
        server.wait(60)
        Path(path).unlink(missing_ok=True)
        Path(folder).rmdir()

    atexit.register(end)
    return path


def _serve(path: str) -> None:
    """Fork a process for each connection, until standard input ends."""
    for name in (*SCRIPTS.values(), *LATER):
        importlib.import_module(name)
    for module in SCRIPTS.values():
        _load_all(sys.modules[module].main)
    # What was imported stays as it is: no child needs to copy it to look through it.
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are not waited for here
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    print("ready", flush=True)
    os.close(1)
    os.open(os.devnull, os.O_WRONLY)
    while True:
        if sys.stdin in select.select([sys.stdin, listener], [], [])[0]:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _attend(connection)
        connection.close()


def _load_all(group: click.Group) -> None:
    """Have a group import its commands, which it may put off until one is called."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            _load_all(found)


def _attend(connection: socket.socket) -> None:
    """Run one command in a child, and say its number and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, descriptors, _, _ = socket.recv_fds(connection, 4, 2)
    asked = json.loads(connection.recv(int.from_bytes(length), socket.MSG_WAITALL))
    child = os.fork()
    if child == 0:
        connection.close()
        _become(asked["command"], asked["environment"], descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    # Whoever has asked may be gone by now.
    with suppress(OSError):
        connection.sendall(f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    with suppress(OSError):
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(command: list[str], environment: dict[str, str], descriptors: list[int]) -> None:
    """Be the console script: in a session of its own, with nothing open but what it is given."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate((nothing, *descriptors)):
        os.dup2(descriptor, number)
    os.closerange(3, 256)
    status = 1
    try:
        sys.argv = [str(Path(sys.executable).parent / command[0]), *command[1:]]
        sys.modules[SCRIPTS[command[0]]].main(prog_name=command[0])
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 -- as the interpreter does at its end
        traceback.print_exc()
    finally:
        with suppress(Exception):
            atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve(sys.argv[1])
