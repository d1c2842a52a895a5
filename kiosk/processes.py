"""The programs that the demonstration starts: each with a log, all of them gone when it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

STOP_TIMEOUT_S = 15.0
POLL_S = 0.1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProgramFailed(Exception):
    """A program ended when it should not have; carries its name, its status and the end of what it said."""

    def __init__(self, name: str, status: int, said: str) -> None:
        super().__init__(f"{name} ended with status {status}:\n{said.strip()}")
        self.name, self.status, self.said = name, status, said


class Interrupted(Exception):
    """Somebody asked the demonstration to end."""


class Programs:
    """Runs console scripts to their end, and keeps others running until `close`.

    Each long-running program leads a session of its own: Ctrl-C reaches the launcher alone, which then
    ends them in the reverse order of their start, so that nobody loses what it still depends on.
    """

    def __init__(self, log_directory: Path, environment: Mapping[str, str]) -> None:
        self.log_directory = log_directory
        self.environment = dict(environment)
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._starting = False
        self._interrupted = False

    def interruptible(self) -> None:
        """Let Ctrl-C, `kill` and a closed terminal raise Interrupted where the launcher stands, once."""

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            # A second Ctrl-C while everything is being ended must not break that off.
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            self._interrupted = True
            if not self._starting:
                raise Interrupted

        for number in _SIGNALS:
            signal.signal(number, interrupt)

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a program to its end; what it printed. Raises ProgramFailed."""
        done = subprocess.run(
            [console_script(command[0]), *command[1:]],
            env={**os.environ, **self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ProgramFailed(" ".join(command[:2]), done.returncode, done.stderr or done.stdout)
        return done.stdout

    def start(self, name: str, *command: str, environment: Mapping[str, str] | None = None) -> None:
        """Start a program that stays; its output goes to NAME.log."""
        # Interrupted between its start and the note of it, the program would outlive us.
        self._starting = True
        with self.log_path(name).open("wb") as log:
            process = subprocess.Popen(
                [console_script(command[0]), *command[1:]],
                env={**os.environ, **self.environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append((name, process))
        self._starting = False
        if self._interrupted:
            raise Interrupted

    def wait_until(self, name: str, look: Callable[[], T | None], timeout_s: float = 60.0) -> T:
        """What `look` finds, asked again until it finds something. Raises ProgramFailed if NAME died."""
        deadline = time.monotonic() + timeout_s
        while (found := look()) is None:
            self.check()
            if time.monotonic() > deadline:
                raise ProgramFailed(name, -1, f"not ready after {timeout_s:.0f} s\n{self.said(name)}")
            time.sleep(POLL_S)
        return found

    def check(self) -> None:
        """Raise ProgramFailed if a program that should be running is not."""
        for name, process in self._running:
            if (status := process.poll()) is not None:
                raise ProgramFailed(name, status, self.said(name))

    def stop(self, name: str) -> None:
        """End one program: politely, then not."""
        for index, (running, process) in enumerate(self._running):
            if running == name:
                del self._running[index]
                _end(process)
                return

    def close(self) -> None:
        """End every program, the last started first."""
        while self._running:
            _end(self._running.pop()[1])

    def log_path(self, name: str) -> Path:
        """Where the output of NAME goes."""
        return self.log_directory / f"{name.replace(' ', '-')}.log"

    def said(self, name: str, lines: int = 15) -> str:
        """The last lines that NAME printed."""
        path = self.log_path(name)
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


def console_script(name: str) -> str:
    """The path of a console script that is installed beside this Python."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            # Its children, too: the session was made for it.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
