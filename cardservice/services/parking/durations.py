"""ISO 8601 durations, as digital orders write them."""

import re

_DURATION = re.compile(r"P(?:([0-9]{1,2})D)?(?:T(?:([0-9]{1,3})H)?(?:([0-9]{1,4})M)?)?\Z", re.ASCII)


def minutes_of(text: object) -> int | None:
    """A duration in whole minutes, such as PT1H30M; None for anything else, and for none at all."""
    match = _DURATION.match(text) if isinstance(text, str) else None
    days, hours, minutes = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    return days * 1_440 + hours * 60 + minutes or None
