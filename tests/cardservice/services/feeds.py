"""A small feed of the tests' own, and ways to write it down with something changed."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cardservice.services import discover
from cardservice.services.seam import LoadedTariff, Service

ZAKROCZYM = Path(__file__).parents[3].parent / "shared" / "data" / "gtfs" / "zakroczym.zip"
DEMO_DATA = Path(__file__).parents[3] / "kiosk" / "demo_data"

# Three areas. `platform-own` is in another area than its station; `nowhere` is in none.
FEED: dict[str, str] = {
    "agency.txt": "agency_name,agency_timezone\nBuses,Europe/London\n",
    "feed_info.txt": "feed_start_date,feed_end_date\n20260101,20261231\n",
    "areas.txt": "area_id,area_name\na,Alder\nb,Birch\nc,Cedar\n",
    "stops.txt": """stop_id,stop_name,location_type,parent_station
a1,Alder Green,,
a2,Alder Hill,0,
b1,Birch Road,0,
c1,Cedar Way,0,
nowhere,Nowhere,0,
station,Birch Station,1,
platform,Birch Station 1,0,station
platform-own,Birch Station 2,0,station
bay,Birch Station 1 bay,4,platform
entrance,Birch Station entrance,2,station
""",
    "stop_areas.txt": "area_id,stop_id\na,a1\na,a2\nb,b1\nc,c1\nb,station\nc,platform-own\n",
    "routes.txt": "route_id,route_short_name\nr1,1\nr2,2\n",
    "rider_categories.txt": """rider_category_id,rider_category_name,is_default_fare_category
adult,Adult,1
young,Young,
older,Older,0
""",
    "fare_media.txt": "fare_media_id,fare_media_type\ncard,2\ncash,0\n",
    "fare_products.txt": """fare_product_id,fare_product_name,rider_category_id,fare_media_id,amount,currency
short,Short,adult,card,1.00,GBP
short,Short,young,card,0.50,GBP
short,Short,adult,cash,1.50,GBP
long,Long,,card,2.00,GBP
long,Long,young,card,0.80,GBP
free,Free,adult,card,0.00,GBP
cash-only,At the driver,adult,cash,9.00,GBP
""",
    "fare_leg_rules.txt": """leg_group_id,from_area_id,to_area_id,fare_product_id
in-a,a,a,free
ab,a,b,short
ba,b,a,short
ac,a,c,long
bc,b,c,cash-only
""",
}
MAP: dict[str, Any] = {
    "fare_medium": "card",
    "rider_categories": {"adult": "adult", "young": "young", "older": "older"},
    "default_category": "adult",
}


def transport() -> Service:
    """The service under test, found as the card service finds it."""
    return discover()["transport"]


def content_of(change: str | bytes) -> bytes:
    """A file's bytes."""
    return change if isinstance(change, bytes) else change.encode()


def changed(changes: Mapping[str, str | bytes | None]) -> dict[str, bytes]:
    """The feed with some files replaced, added, or (None) left out."""
    files: dict[str, str | bytes | None] = {**FEED, **changes}
    return {name: content_of(value) for name, value in files.items() if value is not None}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The feed as a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name).write_bytes(value)
    return folder


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    """The feed as a zip file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in files.items():
            archive.writestr(name, value)
    return path


def write_map(path: Path, **changes: object) -> Path:
    """The map with some fields changed."""
    path.write_text(json.dumps(MAP | changes), encoding="utf-8")
    return path


def load(
    folder: Path,
    changes: Mapping[str, str | bytes | None] | None = None,
    *,
    currency: str = "GBP",
    card_map: Mapping[str, object] | None = None,
) -> LoadedTariff:
    """Write the changed feed and map into an empty folder and load them."""
    feed = write_folder(folder / "feed", changed(changes or {}))
    return transport().load([feed, write_map(folder / "map.json", **(card_map or {}))], currency=currency)
