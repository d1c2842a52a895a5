"""Time as an argument: what needs the moment is given a clock, and a test gives it another one."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

# Returns the present moment as an aware datetime in UTC.
Clock = Callable[[], datetime]

# Development and tests only: shifts the clock of every program of the platform alike.
OFFSET_VARIABLE = "CITIZEN_CARD_CLOCK_OFFSET_S"


def system_clock(offset_s: float = 0.0) -> Clock:
    """The machine's clock, shifted by `offset_s` seconds."""
    offset = timedelta(seconds=offset_s)
    return (lambda: datetime.now(UTC) + offset) if offset else partial(datetime.now, UTC)


def require_aware(moment: datetime) -> datetime:
    """The same moment in UTC. Raises ValueError for a naive datetime, which could mean any zone."""
    if moment.tzinfo is UTC:  # nearly always, and asked for each entry of long lists
        return moment
    if moment.utcoffset() is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(UTC)


def clock_from_environment() -> Clock:
    """The machine's clock, shifted where the environment says so. Raises ValueError."""
    return system_clock(float(os.environ.get(OFFSET_VARIABLE) or 0.0))
