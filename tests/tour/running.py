"""A town to walk through: one that runs already, or a demonstration of our own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tests.support.demonstration import Demonstration, Town


@contextmanager
def town_of(attach: Path | None, folder: Path) -> Iterator[Town]:
    """The town that runs in `attach`; without it one in `folder`, until the end of the block."""
    if attach is not None:
        yield Town.of(attach)
        return
    begun = time.monotonic()
    click.echo("Starting a demonstration")
    demonstration = Demonstration((folder / "demo").resolve())
    try:
        town = demonstration.ready()
        click.echo(f"  ✓ Everything runs ({time.monotonic() - begun:.1f} s)")
        yield town
    finally:
        demonstration.end()
