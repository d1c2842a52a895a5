"""Which ride a validator sells: a small JSON file that the bus's equipment writes, or a person."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kiosk.errors import ConfigInvalid

# docs/services/transport.md, "The action single-fare"
SERVICE, ACTION = "transport", "single-fare"
_FIELDS = frozenset({"from_stop", "to_stop"})


@dataclass(frozen=True, slots=True)
class Trip:
    """From one stop to another, by their ids in the feed."""

    from_stop: str
    to_stop: str

    @property
    def order(self) -> Mapping[str, object]:
        """What is asked of the agent."""
        details = {"from_stop": self.from_stop, "to_stop": self.to_stop}
        return {"service": SERVICE, "action": ACTION, "details": details}


def read_trip(path: Path) -> Trip:
    """The trip of a file. Raises ConfigInvalid."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigInvalid(f"{path} cannot be read as JSON: {error}") from error
    if (
        not isinstance(value, dict)
        or set(value) != _FIELDS
        or not all(isinstance(stop, str) and stop for stop in value.values())
    ):
        raise ConfigInvalid(f'{path} must be {{"from_stop": "…", "to_stop": "…"}}, with the ids of two stops')
    return Trip(**value)
