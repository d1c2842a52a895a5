"""The decision tables together: long enough, mostly refusals and boundaries, no named boundary is missing."""

from datetime import timedelta
from typing import Any

import pytest

from tests.cardservice.services import test_leisure, test_single_fare
from tests.cardservice.services import test_parking_decisions as parking
from tests.cardservice.services import test_transport_decisions as transport

# Where something begins or ends: the concession, the travel day, midnight, the clocks, the calendar.
EDGES = (
    *("09:29", "09:30", "22:59", "23:00", "04:29", "04:30", "T02:00", " 02:00", "23:59", "00:00"),
    *("07:59", "08:00", "13:00-", "13:01", "10:04", "10:05", "03-29", "10-25", "02-29", "12-31", "01-01"),
    *("2026-04-06", "2026-07-13", "2026-11-30", "06-30", "07-01", "2028-12-01", "2028-11-30"),
)


def _text(row: tuple[Any, ...]) -> str:
    return " ".join(str(part) for part in row)


def _is_edge(row: tuple[Any, ...]) -> bool:
    """Whether another row of parking's asks for the same a minute earlier or later, or for a minute more."""
    _, (action, details), category, known, moment, reason, pence, _ = row
    for _, (other, more), who, held, when, why, paid, _ in parking.TABLE:
        if (other, who, held) != (action, category, known) or (why, paid) == (reason, pence):
            continue
        apart = abs(parking.at(when) - parking.at(moment)) <= timedelta(minutes=1)
        longer = abs(int(more.get("minutes", 0)) - int(details.get("minutes", 0))) <= 1
        same = {**more, "minutes": 0} == {**details, "minutes": 0}
        if same and apart and longer:
            return True
    return False


def test_transports_tables() -> None:
    decisions: list[tuple[Any, ...]] = [*transport.DECISIONS]
    days: list[tuple[Any, ...]] = [*transport.DAYS]
    assert len(decisions) >= 40
    assert len(decisions) + len(days) + len(test_single_fare.CASES) >= 100
    hard = [row for row in decisions if row[6] != "approved" or any(edge in _text(row) for edge in EDGES)]
    hard += [row for row in days if any(edge in _text(row) for edge in EDGES)]
    assert 2 * len(hard) >= len(decisions) + len(days)


def test_parkings_table() -> None:
    declined = [row for row in parking.TABLE if row[5] != "approved"]
    edges = [row for row in parking.TABLE if row not in declined and _is_edge(row)]
    assert len(parking.TABLE) >= 40
    assert 2 * len(declined + edges) >= len(parking.TABLE)


def test_leisures_table() -> None:
    assert len(test_leisure.CASES) >= 15


@pytest.mark.parametrize(
    ("what", "rows", "words"),
    [
        ("09:29 and 09:30", transport.DAYS, ["09:29+", "09:30+"]),
        ("22:59 and 23:00", transport.DAYS, ["22:59+", "23:00+"]),
        ("04:29 and 04:30", transport.DAYS, ["04:29+", "04:30+"]),
        ("04:29 and 04:30, inspected", transport.DECISIONS, ["T04:29", "T04:30"]),
        ("Monday 02:00", transport.DAYS, ["2026-06-15 02:00"]),
        ("Monday 02:00 in a yard", parking.TABLE, ["2026-06-15T01:59", "2026-06-15T02:00"]),
        ("bank holidays of each nation", transport.DAYS, ["2026-04-06", "2026-07-13", "2026-11-30"]),
        ("a bank holiday where one parks", parking.TABLE, ["2026-05-25", "2026-12-28"]),
        ("beyond the calendar, on a bus", transport.DECISIONS, ["2028-11-30T23:59", "2028-12-01T00:00"]),
        ("beyond the calendar, parked", parking.TABLE, ["2028-12-31T23:01", "2029-01-01"]),
        ("both clock changes, on a bus", transport.DAYS, ["2026-03-29", "2026-10-25"]),
        ("both clock changes, parked", parking.TABLE, ["2026-03-29", "2026-10-25"]),
        ("leap day, on a bus", transport.DAYS, ["2028-02-29"]),
        ("leap day, parked", parking.TABLE, ["2028-02-29"]),
        ("month ends, parked", parking.TABLE, ["2026-01-31T23:50", "2028-02-27", "2028-02-28"]),
        ("a year's end, on a bus", transport.DAYS, ["2027-01-01"]),
        ("the tenth and the eleventh minute", parking.TABLE, ["T11:10", "T11:11"]),
    ],
)
def test_each_named_boundary_has_its_rows(what: str, rows: list[tuple[Any, ...]], words: list[str]) -> None:
    assert what
    texts = [_text(row) for row in rows]
    assert [word for word in words if not any(word in text for text in texts)] == []
