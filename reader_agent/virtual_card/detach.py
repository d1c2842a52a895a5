"""The command of this process once more, in the background: returns when it has told that it is under way."""

import os
import subprocess
import sys
import tempfile

import click

DETACH_OPTION = "--detach"
_PROGRAM = "from reader_agent.cli import main; main(prog_name='reader-agent')"


def run_detached() -> None:
    """Run the same command without --detach in a session of its own, and pass its first line on.

    Where it ends instead, its message and exit status become this process's.
    """
    arguments = [argument for argument in sys.argv[1:] if argument != DETACH_OPTION]
    reading, writing = os.pipe()
    # A file and not a pipe, which would break when this process ends.
    with os.fdopen(reading) as lines, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=errors,
            start_new_session=True,
        )
        os.close(writing)
        line = lines.readline()
        if line:
            click.echo(line, nl=False)
            return
        status = process.wait()
        errors.seek(0)
        click.echo(errors.read(), err=True, nl=False)
    sys.exit(status)
