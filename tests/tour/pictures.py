"""`make pictures`: takes the README's pictures of each page, from a running demonstration."""

import io
import sys
from pathlib import Path

import click
from PIL import Image
from playwright.sync_api import Error, Page, ViewportSize

from kiosk.demo.town import AVA, MORGAN
from tests.support.demonstration import Town
from tests.tour.browser import chromium
from tests.tour.pages import BUS, TILL, Till, Validator, Wallet
from tests.tour.running import town_of

FOLDER = Path(__file__).parents[2] / "docs" / "images"
WIDTH, HEIGHT = 1280, 800


@click.command()
@click.option(
    "--attach",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Of the demonstration that runs in this folder, such as .demo, not of one of its own.",
)
def main(attach: Path | None) -> None:
    """Put cards on readers, and take pictures of what the pages show."""
    try:
        with town_of(attach, Path(".demo-smoke")) as town:
            _take(town)
    except (AssertionError, Error, OSError) as failure:
        sys.exit(f"pictures: {failure}")


def _take(town: Town) -> None:
    size: ViewportSize = {"width": WIDTH, "height": HEIGHT}
    with chromium() as browser, browser.new_context(viewport=size, locale="en-GB") as context:
        wallet = Wallet(context.new_page(), town.url("wallet"))
        till = Till(context.new_page(), town.url("till"))
        validator = Validator(context.new_page(), town.url("validator"))

        wallet.put(MORGAN.name, BUS)
        validator.expect_outcome("Go")
        _picture(validator.page, "validator")

        wallet.put(AVA.name, TILL)
        till.expect_pupil(AVA.name)
        till.acknowledge_allergens()
        till.add("Tomato pasta bake £2.60", "Carton of milk £0.35")
        _picture(till.page, "till")
        _picture(wallet.page, "wallet")
        wallet.clear()


def _picture(page: Page, name: str) -> None:
    path = FOLDER / f"{name}.png"
    # Neither the last click nor the place of the mouse is to be seen.
    page.mouse.move(0, 0)
    page.evaluate("() => { document.activeElement?.blur(); window.scrollTo(0, 0); }")
    screenshot = page.screenshot(animations="disabled", full_page=True)
    # Flat colours: a palette does, at a third of the size.
    with Image.open(io.BytesIO(screenshot)) as image, image.convert("RGB") as colours:
        colours.quantize(256).save(path, optimize=True)
    click.echo(f"pictures: {path.relative_to(FOLDER.parents[1])}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
