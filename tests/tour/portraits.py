"""`make portraits`: draws the people of the demonstration from their SVG sources, for cards and screens.

The pictures are ours and of nobody: drawings, rasterised by Chromium and stored as small JPEGs without any
metadata, as the card service takes them. Run it after a change of a source, and commit both.
"""

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from tests.tour.browser import chromium

FOLDER = Path(__file__).parents[2] / "kiosk" / "demo_data" / "portraits"
WIDTH, HEIGHT = 360, 480
QUALITY = 82


def main() -> None:
    """Draw every source beside itself."""
    with chromium() as browser:
        for source in sorted(FOLDER.glob("*.svg")):
            picture = drawn(browser, source)
            source.with_suffix(".jpg").write_bytes(picture)
            print(f"{source.stem}: {len(picture):,} bytes")


def drawn(browser: Browser, source: Path) -> bytes:
    """The source as a JPEG of WIDTH x HEIGHT pixels."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    try:
        svg = source.read_text(encoding="utf-8")
        page.set_content(f"<style>body {{ margin: 0 }} svg {{ width: 100vw; height: 100vh }}</style>{svg}")
        screenshot = page.screenshot(type="png")
    finally:
        page.close()
    target = io.BytesIO()
    with Image.open(io.BytesIO(screenshot)) as image, image.convert("RGB") as colours:
        colours.save(target, "JPEG", quality=QUALITY, optimize=True)
    return target.getvalue()


if __name__ == "__main__":
    main()
