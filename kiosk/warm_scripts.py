"""Console scripts without their start: forked from one process that has imported what they need.

A short command takes a second or two of a processor, nearly all of it for starting Python and for importing
the same modules again. Forked, it has a process of its own, with its own arguments, environment and output,
as a shell gives it, in hundredths of a second; only the imports were done before. The scripts are those that
this distribution declares: none of their packages is imported where `WarmScripts` is used.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import EntryPoint, distribution
from pathlib import Path
from typing import IO, Any, cast

import click

DISTRIBUTION = "citizen-card"
# What commands import when they are called, and where they look for packages to import.
USUAL = (
    "cardservice.services",
    "cardservice.setup",
    "kiosk.pay_in",
    "kiosk.till",
    "kiosk.validator",
    "kiosk.web",
    "gunicorn.workers.gthread",
    "psycopg",
    "reader_agent.daemon.server",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
)


class WarmScriptsEnded(Exception):
    """The process that scripts are forked from is not there; start them as programs instead."""


class Begun:
    """A command that has begun in a process of its own; used as a `subprocess.Popen`, by several threads."""

    def __init__(self, args: Sequence[str], connection: socket.socket) -> None:
        self.args = args
        self.returncode: int | None = None
        self._ended = threading.Event()
        answers = connection.makefile("r", encoding="ascii")
        connection.close()  # once `answers` is
        line = answers.readline()
        if not line:
            answers.close()
            raise WarmScriptsEnded("the process that console scripts are forked from has ended")
        self.pid = int(line)
        threading.Thread(target=self._wait, args=(answers,), daemon=True).start()

    def poll(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None while it goes on."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The same, once it has ended. Raises subprocess.TimeoutExpired."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return cast("int", self.returncode)

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

    def _wait(self, answers: IO[str]) -> None:
        with answers:
            line = answers.readline()
            answers.read()  # to the end of whoever has said it
        # Without a word: somebody has killed who would have said it, and what came of it nobody knows.
        self.returncode = int(line or -signal.SIGKILL)
        self._ended.set()


class WarmScripts:
    """A process to fork console scripts from; for several threads. It ends with the one that has made it."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it; it imports while the caller goes on, and the first command waits for that."""
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                env=None if environment is None else dict(environment),
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def begin(
        self, command: Sequence[str], environment: Mapping[str, str], stdout: IO[Any], stderr: IO[Any]
    ) -> Begun:
        """Begin a script, one of `scripts()`; what it writes goes to these files. Raises WarmScriptsEnded."""
        asked = {"command": list(command), "environment": dict(environment), "folder": str(Path.cwd())}
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                passed = [theirs.fileno(), stdout.fileno(), stderr.fileno()]
                socket.send_fds(self._control, [b"+"], passed)
            document = json.dumps(asked).encode()
            ours.sendall(len(document).to_bytes(4) + document)
        except OSError as error:
            ours.close()
            raise WarmScriptsEnded("the process that console scripts are forked from has ended") from error
        return Begun(command, ours)

    def close(self) -> None:
        """End the process, whatever it is about; what was forked from it goes on."""
        self._control.close()
        self._process.kill()
        self._process.wait()


@cache
def scripts() -> Mapping[str, EntryPoint]:
    """The console scripts that this distribution declares, by name."""
    found = distribution(DISTRIBUTION).entry_points
    return {entry.name: entry for entry in found if entry.group == "console_scripts"}


def _serve(control: socket.socket) -> None:
    """Fork a process for each command that is asked for, until whoever asks has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    groups = {name: entry.load() for name, entry in scripts().items()}
    _import_all(groups.values())
    # What was imported stays as it is: no child needs to copy it to look through it.
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are not waited for here
    while True:
        message, passed, _, _ = socket.recv_fds(control, 1, 3)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            _attend(groups, *passed)
        for descriptor in passed:
            os.close(descriptor)


def _import_all(groups: Iterable[click.Group]) -> None:
    for name in USUAL:
        with suppress(ImportError):  # what is not there is left to the commands
            module = importlib.import_module(name)
            for found in pkgutil.iter_modules(getattr(module, "__path__", ())):
                if found.ispkg:
                    importlib.import_module(f"{name}.{found.name}")
    for group in groups:
        _load_all(group)


def _load_all(group: click.Group) -> None:
    """Have a group import its commands, which it may put off until one is called."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            _load_all(found)


def _attend(groups: Mapping[str, click.Group], connection: int, stdout: int, stderr: int) -> None:
    """Run one command in a child, and say its number and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asker = socket.socket(fileno=connection)
    length = int.from_bytes(asker.recv(4, socket.MSG_WAITALL))
    asked = json.loads(asker.recv(length, socket.MSG_WAITALL))
    child = os.fork()
    if child == 0:
        asker.close()
        _become(groups, asked, stdout, stderr)
    os.close(stdout)
    os.close(stderr)
    # Whoever has asked may be gone by now.
    with suppress(OSError):
        asker.sendall(f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    with suppress(OSError):
        asker.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(groups: Mapping[str, click.Group], asked: Mapping[str, Any], stdout: int, stderr: int) -> None:
    """Be the console script: in a session of its own, with nothing open but what it is given."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.closerange(3, max(stdout, stderr) + 1)
    name, *arguments = asked["command"]
    status = 1
    try:
        sys.argv = [str(Path(sys.executable).parent / name), *arguments]
        groups[name].main(prog_name=name)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 -- as the interpreter does at its end
        traceback.print_exc()
    finally:
        with suppress(Exception):
            # The interpreter's own end would take apart, and so copy, all that was imported.
            atexit._run_exitfuncs()  # noqa: SLF001 -- there is no public one
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as _control:
        _serve(_control)
