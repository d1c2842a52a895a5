"""A vehicle's time at a place as a resource: each minute of it there is only once, whoever's card pays.

Two stays clash if and only if their minutes overlap. So that a stay of a day does not take 1,440 resources,
a stay takes a day, two hours or ten minutes as one block where it fills them; what fills a
block in part takes as many minutes of it. A block that is wanted whole is therefore too small as soon as
any minute of it is taken, and the other way round.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cardservice.services.seam import ResourceUse

# Of a block, in minutes, from large to small; each is a multiple of the next.
_BLOCKS = (1_440, 120, 10, 1)
_MINUTE_S = 60
_ANY_DAY = timedelta(days=2)


def held_time(vehicle: str, begins: datetime, ends: datetime) -> tuple[ResourceUse, ...]:
    """What a vehicle's stay takes, from one whole minute until before another."""
    first, last = (int(moment.timestamp()) // _MINUTE_S for moment in (begins, ends))
    return tuple(
        ResourceUse(key=f"{vehicle}/{size}/{block}", quantity=minutes, capacity=size)
        for size, block, minutes in _blocks(first, last, 0)
    )


def held_quota(vehicle: str, day: str, minutes: int, most: int) -> ResourceUse:
    """So many of the minutes that a vehicle may stay at a place on a day."""
    return ResourceUse(key=f"{vehicle}/day/{day}", quantity=minutes, capacity=most)


def time_is_over(key: str, moment: datetime) -> bool:
    """Whether the minutes, or the day, that a resource's key names have passed by a moment."""
    _, kind, which = key.split("/")
    if kind == "day":
        # Wherever the place lies, its day is over by then.
        return datetime.fromisoformat(which).replace(tzinfo=UTC) + _ANY_DAY <= moment
    return (int(which) + 1) * int(kind) * _MINUTE_S <= moment.timestamp()


def _blocks(first: int, last: int, level: int) -> Iterator[tuple[int, int, int]]:
    """Size, number and wanted minutes of each block that [first, last) touches and needs."""
    size = _BLOCKS[level]
    while first < last:
        block = first // size
        until = min(last, (block + 1) * size)
        yield size, block, until - first
        if until - first < size:
            yield from _blocks(first, until, level + 1)
        first = until
