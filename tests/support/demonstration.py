"""A demonstration in a folder of its own, run as a person runs it, with what it tells scripts."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

from kiosk.demo.farewell import STATE_FILE
from tests.support import warm

PROJECT = Path(__file__).parents[2]
START_TIMEOUT_S = 240.0
END_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 120.0
LAST_LINE = "Ctrl-C ends everything"


@dataclass(frozen=True, slots=True)
class Town:
    """What a running demonstration tells scripts: `demo.json`."""

    state: dict[str, Any]

    @classmethod
    def of(cls, folder: Path) -> "Town":
        """The demonstration that runs in a folder. Raises OSError."""
        return cls(json.loads((folder / STATE_FILE).read_text(encoding="utf-8")))

    @property
    def logs(self) -> Path:
        """Where its programs write."""
        return Path(self.state["logs"])

    def url(self, page: str) -> str:
        """The address of `wallet`, `till`, `validator` or `kiosk`."""
        return str(self.state[page])

    def cardholder(self, key: str) -> str:
        """The identifier of one of its people, such as `ava`."""
        return str(self.state["people"][key]["cardholder"])

    def card(self, key: str) -> str:
        """The number of somebody's card."""
        return str(self.state["people"][key]["card"])

    def name(self, key: str) -> str:
        """Their name."""
        return str(self.state["people"][key]["name"])

    def run(self, *command: str) -> dict[str, Any]:
        """The JSON that a console script prints; it must succeed."""
        environment = {**os.environ, **self.state["environment"]}
        done = warm.run([*command, "--json"], environment, timeout=COMMAND_TIMEOUT_S)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        value = json.loads(done.stdout)
        assert isinstance(value, dict)
        return value

    def prepaid(self, key: str) -> int:
        """What somebody can spend, in minor units."""
        accounts = self.run("cardservice", "balance", self.cardholder(key))["accounts"]
        return int(next(each["amount_minor"] for each in accounts if each["account"] == "payer:prepaid"))

    def verified(self) -> dict[str, Any]:
        """The counts of the ledger, all of which is right."""
        return self.run("cardservice", "ledger", "verify")


class Demonstration:
    """A demonstration of our own and what it has printed. `arguments` are added to its command."""

    def __init__(self, folder: Path, arguments: Sequence[str] = ()) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kiosk.demo", "--dir", str(folder), "--free-ports", *arguments],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A Ctrl-C at the keyboard is for whoever runs this, and ends it by `end`.
            start_new_session=True,
        )
        self._lines: Queue[str | None] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def read_until(self, wanted: str) -> str:
        """All that was printed up to the line that contains `wanted`."""
        while not (self.said and wanted in self.said[-1]):
            try:
                line = self._lines.get(timeout=START_TIMEOUT_S)
            except Empty:
                raise AssertionError("the demonstration says nothing:\n" + "".join(self.said)) from None
            if line is None:
                raise AssertionError("the demonstration ended:\n" + "".join(self.said))
            self.said.append(line)
        return "".join(self.said)

    def ready(self) -> Town:
        """The town, once everything in it runs."""
        self.read_until(LAST_LINE)
        return Town.of(self.folder)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        status = self.process.wait(END_TIMEOUT_S)
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

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self._lines.put(line)
        self._lines.put(None)
