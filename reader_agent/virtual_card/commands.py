"""What the commands around software cards share: how they tell errors, and how they end."""

import functools
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, ParamSpec

import click

from reader_agent.virtual_card.errors import VirtualCardError

P = ParamSpec("P")

INPUT: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
PATH: Final = click.Path(path_type=Path)


def telling_errors(command: Callable[P, None]) -> Callable[P, None]:
    """An error becomes one sentence on standard error and exit status 1."""

    @functools.wraps(command)
    def telling(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            command(*arguments, **options)
        except VirtualCardError as error:
            click.echo(f"{click.get_current_context().command_path}: {error}", err=True)
            sys.exit(1)

    return telling


@contextmanager
def until_signal() -> Iterator[None]:
    """What runs until somebody ends it: Ctrl-C and SIGTERM are its good end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        return
