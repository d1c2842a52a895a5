"""A face as a terminal runs it: the console script in a process of its own."""

import json
import signal
import subprocess
import sys
from pathlib import Path

KIOSK = str(Path(sys.executable).parent / "kiosk")


class FaceProcess:
    """`kiosk run NAME`, started with more options."""

    def __init__(self, log_file: Path, name: str, *options: str) -> None:
        self._log_file = log_file
        self._command = [KIOSK, "run", name, "--json", *options]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self, port: int = 0) -> None:
        """Return when it answers."""
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "--port", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
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
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        status = process.wait(60)
        assert process.stdout is not None
        process.stdout.close()
        return status
