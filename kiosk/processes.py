"""The programs that the demonstration starts: each with a log, all of them gone when it ends."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, TypeVar

from kiosk import warm_scripts
from kiosk.warm_scripts import WarmScripts, WarmScriptsEnded

T = TypeVar("T")
Process = subprocess.Popen[bytes] | warm_scripts.Begun

STOP_TIMEOUT_S = 15.0
POLL_S = 0.05
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProgramFailed(Exception):
    """A program ended when it should not have; carries its name, its status and the end of what it said."""

    def __init__(self, name: str, status: int, said: str) -> None:
        super().__init__(f"{name} ended with status {status}:\n{said.strip()}")
        self.name, self.status, self.said = name, status, said


class Interrupted(Exception):
    """Somebody asked the demonstration to end."""


@dataclass(frozen=True, slots=True)
class Death:
    """A program that ended without being asked to."""

    name: str
    status: int
    log: Path


class Programs:
    """Runs console scripts to their end, and keeps others running until `close`; for several threads.

    Our own are forked from a process that has imported them, which is started with this.
    Each program leads a session of its own: Ctrl-C reaches the launcher alone, which then ends them in the
    reverse order of their start, so that nobody loses what it still depends on.
    """

    def __init__(self, log_directory: Path, environment: Mapping[str, str]) -> None:
        self.log_directory = log_directory
        self.environment = dict(environment)
        self._scripts = WarmScripts({**os.environ, **environment})
        self._running: dict[str, Process] = {}
        self._stopping: set[str] = set()
        self._errands: set[Process] = set()
        # Held for as long as a process is started and noted: one that is not noted would outlive us.
        self._lock = threading.Lock()
        self._starting = False
        self._interrupted = False

    def interruptible(self) -> None:
        """Let Ctrl-C, `kill` and a closed terminal raise Interrupted where the main thread stands, once."""

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            # A second Ctrl-C while everything is being ended must not break that off.
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            self._interrupted = True
            if not self._starting:
                raise Interrupted

        for number in _SIGNALS:
            signal.signal(number, interrupt)

    def run(self, *command: str) -> str:
        """Run a program to its end; what it printed. Raises ProgramFailed, Interrupted."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            errand = self._begun(lambda: self._process(command, out, err), self._errands.add)
            try:
                status = errand.wait()
            finally:
                self._errands.discard(errand)
            if self._interrupted:
                raise Interrupted
            if status != 0:
                raise ProgramFailed(" ".join(command[:2]), status, _text_in(err) or _text_in(out))
            return _text_in(out)

    def start(self, name: str, *command: str) -> int:
        """Start a program that stays; where in NAME.log its output begins. Raises Interrupted."""
        self.stop(name)  # what is left of one that died
        with self.log_path(name).open("ab") as log:
            begins_at = log.tell()

            def note(process: Process) -> None:
                self._running[name] = process

            self._begun(lambda: self._process(command, log, log), note)
        return begins_at

    def wait_until(self, name: str, look: Callable[[], T | None], timeout_s: float = 60.0) -> T:
        """What `look` finds, asked again until it finds something. Raises ProgramFailed if NAME died."""
        deadline = time.monotonic() + timeout_s
        while (found := look()) is None:
            if self._interrupted:
                raise Interrupted
            for death in self.deaths():
                if death.name == name:
                    raise ProgramFailed(name, death.status, self.said(name))
            if time.monotonic() > deadline:
                raise ProgramFailed(name, -1, f"not ready after {timeout_s:.0f} s\n{self.said(name)}")
            time.sleep(POLL_S)
        return found

    def deaths(self) -> tuple[Death, ...]:
        """The programs that should be running and are not."""
        with self._lock:
            running = [found for found in self._running.items() if found[0] not in self._stopping]
        return tuple(
            Death(name, status, self.log_path(name))
            for name, process in running
            if (status := process.poll()) is not None
        )

    def stop(self, name: str) -> bool:
        """End one program: politely, then not. Whether there was one."""
        with self._lock:
            process = self._running.get(name)
            self._stopping.add(name)
        # Noted until it has ended: interrupted here, `close` goes on with it.
        if process is not None:
            _end(process)
        with self._lock:
            if process is not None and self._running.get(name) is process:
                del self._running[name]
            self._stopping.discard(name)
        return process is not None

    def close(self) -> None:
        """End every program, the last started first; none can be started afterwards."""
        self._interrupted = True
        with self._lock:
            errands, running = list(self._errands), list(self._running.values())
            self._running.clear()
        for errand in errands:
            errand.terminate()
        for process in reversed(running):
            _end(process)
        self._scripts.close()

    def log_path(self, name: str) -> Path:
        """Where the output of NAME goes."""
        return self.log_directory / f"{name.replace(' ', '-')}.log"

    def output(self, name: str, begins_at: int = 0) -> str:
        """What NAME has printed from that place of its log on."""
        with self.log_path(name).open("rb") as log:
            log.seek(begins_at)
            return log.read().decode(errors="replace")

    def said(self, name: str, lines: int = 15) -> str:
        """The last lines that NAME printed."""
        return "\n".join(self.output(name).splitlines()[-lines:]) if self.log_path(name).exists() else ""

    def _process(self, command: tuple[str, ...], out: IO[bytes], err: IO[bytes]) -> Process:
        environment = {**os.environ, **self.environment}
        if command[0] in warm_scripts.scripts():
            with suppress(WarmScriptsEnded):
                return self._scripts.begin(command, environment, out, err)
        return subprocess.Popen(
            [console_script(command[0]), *command[1:]],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )

    def _begun(self, begin: Callable[[], Process], note: Callable[[Process], None]) -> Process:
        in_main = threading.current_thread() is threading.main_thread()
        with self._lock:
            if self._interrupted:
                raise Interrupted
            # A signal handler runs in the main thread, between any two steps of it.
            self._starting = in_main
            try:
                process = begin()
                note(process)
            finally:
                self._starting = False
        if self._interrupted:
            raise Interrupted
        return process


def console_script(name: str) -> str:
    """The path of a console script that is installed beside this Python."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def _text_in(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _end(process: Process) -> None:
    if process.poll() is not None:
        _kill_session(process)
        return
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        _kill_session(process)
        process.wait()


def _kill_session(process: Process) -> None:
    """Its children, too: the session was made for it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # none is left
