"""A small parking tariff of the tests' own, an order in the D-TRO's shape, and ways to write both down."""

import copy
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cardservice.services import discover, with_keys
from cardservice.services.seam import LoadedTariff, Service

MASTER = bytes(range(32))
WEEK = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
EAST_REACH = "c962b51f-e1aa-416e-8f0b-aefe39a4c099"
MARKET_STREET = "A3448229-1DFA-48CD-A785-376ACB9F7C56"

# High Street: Monday to Saturday 08:00 to 18:00, Sundays and bank holidays 10:00 to 16:00; resident 20 % off;
# two hours at most, no return within one. Old Wharf: pay on exit, all day, 6.00 at most. Green: free for 30
# minutes. Night Yard: open on Sunday until midnight and on Monday until 02:00.
TARIFF: dict[str, Any] = {
    "timezone": "Europe/London",
    "currency": "GBP",
    "first_day": "2026-01-01",
    "last_day": "2029-12-31",
    # Of England and Wales, some of them.
    "calendar": {"until": "2028-12-31", "holidays": ["2026-05-25", "2026-12-25", "2026-12-28", "2028-12-26"]},
    "permits": [
        {
            "key": "zone-a",
            "label": "Permit zone A",
            "months": 12,
            "prices": ["45.00", "90.00"],
            "categories": ["resident"],
        },
        {"key": "visitor", "label": "Visitor permit", "months": 1, "prices": ["10.00"]},
        {
            "key": "household",
            "label": "Household permit",
            "months": 12,
            "prices": ["100.00"],
            "vehicles": 2,
            "change_price": "5.00",
        },
    ],
    "visits": [
        {
            "key": "zone-a-visit",
            "label": "Visit to zone A",
            "minutes": 240,
            "price": "1.20",
            "sessions_a_year": 50,
            "categories": ["resident"],
        }
    ],
    "blue_badge": ["blue-badge"],
    "places": [
        {
            "key": "high-street",
            "label": "High Street",
            "on_street": True,
            "outside_hours": "free",
            "max_stay_minutes": 120,
            "no_return_minutes": 60,
            "discounts": {"resident": 20},
            "permits": ["zone-a", "household"],
            "visits": ["zone-a-visit"],
            "bands": [
                {
                    "days": WEEK,
                    "from": "08:00",
                    "to": "18:00",
                    "tiers": [
                        {"from_minutes": 0, "to_minutes": 30, "price": "0.90"},
                        {"from_minutes": 30, "to_minutes": 60, "price": "1.60"},
                        {"from_minutes": 60, "to_minutes": 120, "price": "3.00"},
                    ],
                },
                {
                    "days": ["sunday", "holiday"],
                    "from": "10:00",
                    "to": "16:00",
                    "each": {"minutes": 120, "price": "1.00"},
                },
            ],
        },
        {
            "key": "old-wharf",
            "label": "Old Wharf",
            "on_street": False,
            "pay_on_exit": True,
            "blue_badge": "as-others",
            "outside_hours": "closed",
            "daily_maximum": "6.00",
            "reserve": "6.00",
            "permits": ["household"],
            "bands": [
                {
                    "days": [*WEEK, "sunday", "holiday"],
                    "from": "00:00",
                    "to": "24:00",
                    "each": {"minutes": 60, "price": "1.00"},
                }
            ],
        },
        {
            "key": "green",
            "label": "The Green",
            "on_street": False,
            "outside_hours": "free",
            "free_minutes": 30,
            "blue_badge": "free",
            "carries_unused": True,
            "bands": [
                {
                    "days": [*WEEK, "sunday", "holiday"],
                    "from": "00:00",
                    "to": "24:00",
                    "each": {"minutes": 10, "price": "0.20"},
                }
            ],
        },
        {
            "key": "night-yard",
            "label": "Night Yard",
            "on_street": False,
            "blue_badge": "free",
            "visits": ["zone-a-visit"],
            "outside_hours": "closed",
            "bands": [
                {
                    "days": ["sunday"],
                    "from": "18:00",
                    "to": "24:00",
                    "each": {"minutes": 60, "price": "2.00"},
                },
                {
                    "days": ["monday"],
                    "from": "00:00",
                    "to": "02:00",
                    "each": {"minutes": 60, "price": "3.00"},
                },
            ],
        },
        {
            "key": "east-reach",
            "label": "East Reach",
            "on_street": True,
            "outside_hours": "free",
            "order": {"file": "rates.json", "provision": EAST_REACH},
        },
        {
            "key": "market-street",
            "label": "Market Street",
            "on_street": True,
            "outside_hours": "free",
            "order": {"file": "stay.json", "provision": MARKET_STREET},
        },
    ],
}

# Sequence, first and last second inclusive, and what it costs.
LINES = (
    (1, "00:01:00", "00:59:59", 3.2),
    (2, "01:00:00", "01:59:59", 4.2),
    (3, "02:00:00", "02:59:59", 5),
    (4, "03:00:00", "03:59:59", 5.5),
    (5, "04:00:00", "04:59:59", 6.5),
    (6, "05:00:00", "07:59:59", 11),
    (7, "08:00:00", "10:59:59", 17),
)
Change = Callable[[dict[str, Any]], object]


def _vehicle(kind: str, *, negate: bool) -> dict[str, Any]:
    return {"negate": negate, "vehicleCharacteristics": {"vehicleType": kind}}


def _validity(begins: str, from_time: str, to_time: str, **more: Any) -> dict[str, Any]:
    period = {
        "recurringDayWeekMonthPeriod": [{"applicableDay": WEEK}],
        "recurringTimePeriodOfDay": [{"startTimeOfPeriod": from_time, "endTimeOfPeriod": to_time}],
        **more,
    }
    return {"start": begins, "isPlaceholderTro": False, "validPeriod": [period]}


def rate_table() -> dict[str, Any]:
    """Tiers from an hour to eleven, as an order writes them."""
    return {
        "type": "hourly",
        "rateLineCollection": [
            {
                "applicableCurrency": "GBP",
                "minTime": "PT1H",
                "maxTime": "PT11H",
                "minValueCollection": 3.2,
                "maxValueCollection": 17,
                "sequence": 1,
                "resetTime": "18:00:00",
                "startValidUsagePeriod": "2024-12-10T09:00:00",
                "rateLine": [
                    {
                        "sequence": sequence,
                        "durationStart": first,
                        "durationEnd": last,
                        "type": "flatRateTier",
                        "usageCondition": "fixedDuration",
                        "value": value,
                    }
                    for sequence, first, last, value in LINES
                ],
            }
        ],
    }


def order(version: str, regulation: Any, reference: str) -> dict[str, Any]:
    """An order with one provision."""
    provision = {
        "reference": reference,
        "provisionDescription": "Pay and display, daily 9 am to 8 pm",
        "regulation": regulation,
    }
    return {"schemaVersion": version, "data": {"source": {"provision": [provision]}}}


def rates_4() -> dict[str, Any]:
    """A rate table in the shape of 4.0: one regulation, `conditions` that wrap further sets."""
    kinds = {
        "operator": "or",
        "conditions": [_vehicle("car", negate=False), _vehicle("motorcycle", negate=False)],
    }
    timed = {
        "negate": False,
        "timeValidity": _validity("2024-09-22T08:00:00", "07:00:00", "18:00:00"),
        "rateTable": rate_table(),
    }
    regulation = {
        "conditionSet": {"operator": "and", "conditions": [{"conditionSet": kinds}, timed]},
        "generalRegulation": {"regulationType": "kerbsidePaymentParkingPlace"},
        "isDynamic": False,
        "timeZone": "Europe/London",
    }
    return order("4.0.0", regulation, EAST_REACH)


def rates_35() -> dict[str, Any]:
    """The same in the shape of 3.5: lists of regulations, condition sets and conditions."""
    own = rates_4()
    [provision] = own["data"]["source"]["provision"]
    regulation = provision["regulation"]
    wrapped, timed = regulation["conditionSet"]["conditions"]
    regulation["conditionSet"] = [
        {"operator": "and", "conditionSet": [wrapped["conditionSet"]], "condition": [timed]}
    ]
    provision["regulation"] = [regulation]
    return own | {"schemaVersion": "3.5.1"}


def max_stay(**limits: str) -> dict[str, Any]:
    """An order of limited waiting: at most 20 minutes, unless said otherwise."""
    found = limits or {"maximumOccupancy": "PT20M"}
    validity = _validity("2024-08-01T08:00:00", "08:00:00", "18:00:00", maxStayNoReturn=found)
    regulation = {
        "condition": {"timeValidity": validity},
        "generalRegulation": {"regulationType": "kerbsideLimitedWaiting"},
        "isDynamic": False,
        "timeZone": "Europe/London",
    }
    return order("4.0.0", regulation, MARKET_STREET)


def parking() -> Service:
    """The service under test, found as the card service finds it."""
    return with_keys(discover(), MASTER)["parking"]


def vehicle(place: str, plate: str) -> str:
    """What stands for a vehicle at a place where `parking` has its key."""
    key = hmac.digest(MASTER, b"citizen-card service\0parking", "sha256")
    return hmac.digest(key, f"{place}\0{plate}".encode(), "sha256").hex()[:20]


def load(
    folder: Path,
    change: Change | None = None,
    *,
    rates: dict[str, Any] | None = None,
    stay: dict[str, Any] | None = None,
) -> LoadedTariff:
    """The changed tariff with its two orders, loaded."""
    tariff = copy.deepcopy(TARIFF)
    if change is not None:
        change(tariff)
    paths = []
    for name, content in (
        ("parking.json", tariff),
        ("rates.json", rates or rates_4()),
        ("stay.json", stay or max_stay()),
    ):
        path = folder / name
        path.write_text(json.dumps(content), encoding="utf-8")
        paths.append(path)
    return parking().load(paths, currency="GBP")
