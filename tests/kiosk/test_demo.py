"""`make demo`, run as a person runs it: it pays a fare, says what to do next, and Ctrl-C ends all of it."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest

from kiosk.demo import READY
from kiosk.processes import ProgramFailed, Programs

START_TIMEOUT_S = 180
PROJECT = Path(__file__).parents[2]


class Demonstration:
    """A running demonstration and what it has printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kiosk.demo", "--dir", str(folder)],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: Queue[str | None] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self._lines.put(line)
        self._lines.put(None)

    def read_until(self, wanted: str) -> str:
        """All that was printed up to the line that contains `wanted`."""
        while not (self.said and wanted in self.said[-1]):
            try:
                line = self._lines.get(timeout=START_TIMEOUT_S)
            except Empty:
                pytest.fail("the demonstration says nothing:\n" + "".join(self.said))
            if line is None:
                pytest.fail("the demonstration ended:\n" + "".join(self.said))
            self.said.append(line)
        return "".join(self.said)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C; its exit status."""
        self.process.send_signal(number)
        status = self.process.wait(60)
        self._reader.join(10)
        return status

    def programs(self) -> list[int]:
        """The processes that work in its folder."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            except OSError:
                continue
            if str(self.folder).encode() in command and int(process.name) != os.getpid():
                found.append(int(process.name))
        return found


@pytest.fixture
def demonstration(tmp_path: Path) -> Iterator[Demonstration]:
    """A demonstration in a folder of its own."""
    running = Demonstration(tmp_path / "demo")
    yield running
    if running.process.poll() is None:
        running.end()


def commands_to_go_on_with(said: str) -> list[str]:
    """The commands that the demonstration prints, each under a line that says what it is for."""
    lines = said.splitlines()
    return [after.strip() for line, after in pairwise(lines) if line.startswith("  # ")]


def test_the_demonstration_pays_a_fare_and_its_commands_go_on_from_there(
    demonstration: Demonstration,
) -> None:
    said = demonstration.read_until("Ctrl-C ends everything")
    assert READY in said
    assert "APPROVED  2.40 GBP" in said
    assert len(demonstration.programs()) >= 4, "service, pcscd and card are running"

    commands = commands_to_go_on_with(said)
    tap_again = next(command for command in commands if command.startswith("reader-agent tap"))
    script = "\n".join(["set -e", *commands, f"{tap_again} || true"])
    done = subprocess.run(
        ["bash", "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "prepaid: 15.20 GBP" in done.stdout, "a second fare of 2.40"
    assert "prepaid: 20.20 GBP" in done.stdout, "5.00 more"
    assert "card_revoked" in done.stdout + done.stderr, "its tap after the revocation is refused"

    assert demonstration.end() == 0
    assert demonstration.programs() == []


def test_it_can_be_ended_at_any_time(demonstration: Demonstration) -> None:
    demonstration.read_until("Starting a private pcscd")
    assert demonstration.end(signal.SIGTERM) == 0
    assert demonstration.programs() == []


def test_a_folder_that_is_not_a_demonstrations_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = demo_in(tmp_path)
    assert done.returncode == 1
    assert "not a demonstration's folder" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = demo_in(tmp_path)
    assert done.returncode == 1
    assert "is running" in done.stderr


def demo_in(folder: Path) -> subprocess.CompletedProcess[str]:
    """A demonstration that should refuse to start."""
    command = [sys.executable, "-m", "kiosk.demo", "--once", "--dir", str(folder)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)


def test_what_a_failed_program_said_is_told(tmp_path: Path) -> None:
    programs = Programs(tmp_path, {})
    with pytest.raises(ProgramFailed, match="No such command") as failure:
        programs.run("cardservice", "no-such-command")
    assert failure.value.status == 2
