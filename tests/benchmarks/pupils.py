"""`pupil_import`: a school's file of ten thousand joiners is taken over, and one that changes them all."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import func, select

from cardservice.cardholders.models import cardholder_token
from cardservice.context import Context
from cardservice.pupils.service import import_pupils
from tests.benchmarks.installed import installed
from tests.benchmarks.report import Measurement
from tests.benchmarks.searching import people
from tests.benchmarks.server import BenchmarkFailed
from tests.support.databases import PostgresServer

KEY = "pupil_import"
PUPILS = 10_000
_MOMENT = datetime(2026, 9, 1, 7, 0, tzinfo=UTC)
_OLDEST, _DAYS = date(2008, 9, 1), 4_000
_SCHOOL = "ashcombe-high"


def measure(
    server: PostgresServer, seconds: float, say: Callable[[str], None], *, pupils: int = PUPILS
) -> Measurement:
    """How long the file takes; raises BenchmarkFailed unless everybody joined, and can be found."""
    del seconds
    with installed(server, _MOMENT) as (context, _, _), TemporaryDirectory() as folder:
        roll = Path(folder) / "roll.csv"
        took, worked, (joined, _) = _imported(context, roll, pupils, "9")
        with context.database.reading() as connection:
            found = connection.scalar(select(func.count(cardholder_token.c.cardholder_id.distinct())))
        if (joined, found) != (pupils, pupils):
            raise BenchmarkFailed(f"{KEY}: {joined} of {pupils} pupils joined, and {found} can be found")
        again, _, (_, changed) = _imported(context, roll, pupils, "10")
        if changed != pupils:
            raise BenchmarkFailed(f"{KEY}: {changed} of {pupils} pupils were changed")
    say(f"{KEY}: {pupils:,} joined in {took:,.1f} s, {worked:,.1f} s of the processor here")
    return Measurement(
        key=KEY,
        what=f"a school's file of {pupils:,} pupils who join, checked, compared with who is known, sealed and"
        " indexed, in one transaction",
        value=took,
        unit="s",
        detail={
            "of which the processor's, in the service, s": round(worked, 1),
            "the same file a year later, everybody changed, s": round(again, 1),
        },
    )


def _imported(context: Context, roll: Path, pupils: int, year: str) -> tuple[float, float, tuple[int, int]]:
    """Seconds by the clock and of the processor; how many joined and how many changed."""
    roll.write_text("\n".join(_lines(pupils, year)) + "\n", encoding="utf-8")
    begun, worked = time.monotonic(), time.process_time()
    _, plan = import_pupils(context, roll, _SCHOOL, actor="bench")
    took = time.monotonic() - begun, time.process_time() - worked
    return *took, (len(plan.joiners), len(plan.changes))


def _lines(pupils: int, year: str) -> Iterator[str]:
    yield "number,name,born_on,form,allergens"
    for number, person in enumerate(people(pupils, seed=7)):
        born_on = (_OLDEST + timedelta(days=number % _DAYS)).isoformat()
        yield f"A{number},{person.name},{born_on},{year}{'ABCDE'[number % 5]},milk"
