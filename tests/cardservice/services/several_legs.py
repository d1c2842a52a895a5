"""A feed of the tests' own with times of the day, networks, priorities, changes of each type, and joins.

Buses and trams in three areas and a metro with two lines; peak fares on working days. What its rows are for,
and what comes of them, `test_several_legs.py` says case by case.
"""

# ruff: noqa: E501 - a row of a file is a line

from pathlib import Path
from typing import Any

from cardservice.services.seam import LoadedTariff
from cardservice.services.transport.tariff import Tariff
from tests.cardservice.services.feeds import FEED, load, transport
from tests.cardservice.services.travels import travel

FILES: dict[str, str] = {
    "networks.txt": "network_id\nbus\ntram\nmetro\nferry\ntaxi\n",
    "routes.txt": "route_id\nb\nt\nm1\nm2\nf\nx\nnone\n",
    "route_networks.txt": "network_id,route_id\nbus,b\ntram,t\nmetro,m1\nmetro,m2\nferry,f\ntaxi,x\n",
    "calendar.txt": """service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date
working,1,1,1,1,1,0,0,20260101,20261130
daily,1,1,1,1,1,1,1,20260101,20261231
""",
    # The late May bank holiday is none of the working days; a Saturday in December is a day of fairs.
    "calendar_dates.txt": """service_id,date,exception_type
working,20260525,2
fair,20261212,1
""",
    "timeframes.txt": """timeframe_group_id,start_time,end_time,service_id
peak,07:00:00,09:30:00,working
peak,16:00:00,18:00:00,working
night,22:00:00,24:00:00,daily
night,0:00:00,5:00:00,daily
fair,,,fair
""",
    "fare_products.txt": """fare_product_id,fare_product_name,rider_category_id,fare_media_id,amount,currency
bus,Bus,,card,2.00,GBP
bus,Bus,young,card,1.00,GBP
bus-peak,Bus at peak times,,card,2.50,GBP
tram,Tram,,card,3.00,GBP
tram-night,Tram at night,,card,1.00,GBP
metro-short,Metro,,card,2.20,GBP
metro-long,Metro across,,card,4.00,GBP
ferry,Ferry,,card,5.00,GBP
ferry-fair,Ferry to the fair,,card,1.50,GBP
taxi,Shared taxi,,card,6.00,GBP
other,Whatever else,,card,9.00,GBP
upgrade,Upgrade,,card,0.80,GBP
upgrade,Upgrade,young,card,0.30,GBP
less,Reduction,,card,-0.60,GBP
less,Reduction,young,card,-1.20,GBP
through,Bus and ferry,,card,5.50,GBP
cheaper,Ferry and tram,,card,1.20,GBP
paper,Paper,,cash,1.00,GBP
""",
    # A rule for the peak comes before the one for any time; everything else is 9.00.
    "fare_leg_rules.txt": """leg_group_id,network_id,from_area_id,to_area_id,from_timeframe_group_id,to_timeframe_group_id,fare_product_id,rule_priority
bus,bus,,,,,bus,1
bus,bus,,,peak,,bus-peak,2
tram,tram,,,,,tram,1
tram,tram,,,,night,tram-night,2
metro,metro,a,b,,,metro-short,1
metro,metro,b,c,,,metro-short,1
metro,metro,a,c,,,metro-long,1
ferry,ferry,,,,,ferry,1
ferry,ferry,,,fair,,ferry-fair,2
taxi,taxi,,,,,taxi,1
,,,,,,other,
""",
    # Line 2: one more bus within an hour of boarding costs nothing. 3: up to three within two hours, 0.80 each.
    # 4 and 5: by how long the change itself takes, and until the tram's end. 6 to 8: each way of adding up.
    # 9 and 10: what is not named. Groups that no row names on that side are empty's.
    "fare_transfer_rules.txt": """from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type,fare_product_id
bus,bus,1,3600,1,0,
bus,bus,3,7200,1,0,upgrade
bus,tram,,900,2,1,less
bus,tram,,5400,0,0,upgrade
bus,ferry,,,,2,through
ferry,tram,,,,2,cheaper
tram,bus,,3600,3,1,less
tram,tram,-1,,,0,
,taxi,,,,1,less
""",
    "fare_leg_join_rules.txt": """from_network_id,to_network_id,from_stop_id,to_stop_id
metro,metro,station,platform
""",
}


def load_legs(folder: Path, **changes: str | None) -> LoadedTariff:
    """The feed and a map for it; `changes` by a file's name without its end."""
    files = {**FILES, **{f"{name}.txt": content for name, content in changes.items()}}
    return load(folder, files, card_map={"travel": legs_travel()})


def legs_travel(**changes: object) -> dict[str, Any]:
    """Tapping without any cap, and two hours to change in."""
    own: dict[str, Any] = {"caps": [], "single_maxima": [], "concessions": [], "incomplete": "10.00"}
    return travel(**{**own, "transfer_minutes": 120, **changes})


def prepared(folder: Path) -> Tariff:
    """The feed's tariff."""
    tariff = transport().prepare(load_legs(folder).content)
    assert isinstance(tariff, Tariff)
    return tariff


__all__ = ["FEED", "FILES", "legs_travel", "load_legs", "prepared"]
