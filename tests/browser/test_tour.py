"""The tour of the README, as `make smoke` walks it, on each database."""

from playwright.sync_api import BrowserContext

from tests.browser.running import RunningTown
from tests.tour.steps import STEPS, Tour


def test_the_tour_does_what_the_readme_says(town: RunningTown, context: BrowserContext) -> None:
    tour = Tour.begin(context, town.told)
    for step in STEPS:
        step.walk(tour)
