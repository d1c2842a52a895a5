"""`make smoke`: the README's five-minute tour, headless, in Chromium, through a demonstration's pages."""

import sys
import time
from pathlib import Path

import click
from playwright.sync_api import Error

from tests.tour.browser import chromium
from tests.tour.running import town_of
from tests.tour.steps import STEPS, Step, Tour

FOLDER = Path(".demo-smoke")


@click.command()
@click.option(
    "--attach",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Walk through the demonstration that runs in this folder, such as .demo, not one of its own.",
)
def main(attach: Path | None) -> None:
    """Walk the tour and say what is done; exit status 1 at the first step that fails."""
    begun = time.monotonic()
    try:
        with town_of(attach, FOLDER) as town, chromium() as browser, browser.new_context() as context:
            tour = Tour.begin(context, town)
            passed = all(_walked(step, tour) for step in STEPS)
    except (AssertionError, Error, OSError) as failure:
        click.echo(f"smoke: {failure}", err=True)
        sys.exit(1)
    took = time.monotonic() - begun
    click.echo(f"smoke: {'all is well' if passed else 'FAILED'} ({took:.0f} s)")
    sys.exit(0 if passed else 1)


def _walked(step: Step, tour: Tour) -> bool:
    begun = time.monotonic()
    try:
        step.walk(tour)
    except (AssertionError, Error) as failure:
        click.echo(f"  ✗ {step.title} ({time.monotonic() - begun:.1f} s)\n\n{failure}\n", err=True)
        for picture in tour.screenshots(FOLDER, step.walk.__name__):
            click.echo(f"    {picture}", err=True)
        return False
    click.echo(f"  ✓ {step.title} ({time.monotonic() - begun:.1f} s)")
    return True


if __name__ == "__main__":
    main()
