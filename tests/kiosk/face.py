"""A face as a terminal runs it: the console script in a process of its own."""

import json
import os
import signal
from pathlib import Path
from typing import BinaryIO

from tests.support import warm


class FaceProcess:
    """`kiosk run NAME`, started with more options."""

    def __init__(self, log_file: Path, name: str, *options: str) -> None:
        self._log_file = log_file
        self._command = ["kiosk", "run", name, "--json", *options]
        self._process: warm.Begun | None = None
        self._stdout: BinaryIO | None = None
        self.url = ""

    def start(self, port: int = 0) -> None:
        """Return when it answers."""
        reading, writing = os.pipe()
        self._stdout = open(reading, "rb")  # noqa: PTH123, SIM115 -- a descriptor, closed by `stop`
        with self._log_file.open("ab") as log, open(writing, "wb") as out:  # noqa: PTH123 -- a descriptor
            self._process = warm.begin([*self._command, "--port", str(port)], os.environ, out, log)
        line = self._stdout.readline()
        if not line:
            self.stop()
            raise AssertionError(self.log)
        self.url = json.loads(line)["url"]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rstrip("/").rpartition(":")[2])

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log_file.read_text()

    def stop(self) -> int:
        """End it as systemd does; its exit status."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
        assert self._stdout is not None
        self._stdout.close()
        return status
