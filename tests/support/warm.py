"""Console scripts as tests run them: forked from one process that has imported what they need.

Half a journey's time would go into starting Python and importing the same modules again, for each command
that somebody types. That a script starts from nothing is shown by those that stay: `cardservice serve`, and
the commands that the demonstration prints.
"""

import atexit
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from typing import IO, Any

from kiosk.warm_scripts import Begun, WarmScripts

__all__ = ["Begun", "begin", "run"]


def begin(command: Sequence[str], environment: Mapping[str, str], stdout: IO[Any], stderr: IO[Any]) -> Begun:
    """Begin a console script; what it writes goes to these files."""
    return _scripts().begin(command, environment, stdout, stderr)


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
def _scripts() -> WarmScripts:
    """This process's own, started when it is first asked for."""
    scripts = WarmScripts()
    atexit.register(scripts.close)
    return scripts
