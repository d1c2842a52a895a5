"""Telling on standard error how far something has come."""

import time

import click

_EVERY_S = 1.0


class ProgressLine:
    """Says once a second what is looked at, how many of how many, how fast, and how long it will take."""

    def __init__(self) -> None:
        self._stage = ""
        self._begun = self._said = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Called for each piece of work."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._begun, self._said = stage, now, now
        if now - self._said < _EVERY_S or not done:
            return
        self._said = now
        rate = done / (now - self._begun)
        left = max(0.0, total - done) / rate
        click.echo(f"{stage}: {done:,} of {total:,}, {rate:,.0f} a second, {left:,.0f} s left", err=True)
