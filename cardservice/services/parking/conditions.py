"""Which vehicles an order's regulation is for: a tree of and, or, xor and not over their types."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Condition:
    """A vehicle's type, or several conditions under an operator; `negate` turns what they say round."""

    operator: str
    negate: bool = False
    vehicle: str | None = None
    parts: tuple["Condition", ...] = ()

    def holds(self, vehicle: str) -> bool:
        """Whether it is true of a vehicle of this type."""
        return self._says(vehicle) is not self.negate

    def _says(self, vehicle: str) -> bool:
        if self.operator == "is":
            return vehicle == self.vehicle
        found = [part.holds(vehicle) for part in self.parts]
        if self.operator == "and":
            return all(found)
        # Of several, exactly one: what "either" says of three.
        return any(found) if self.operator == "or" else sum(found) == 1


def prepare_condition(stored: Mapping[str, Any]) -> Condition:
    """A condition of a stored content."""
    return Condition(
        operator=stored["operator"],
        negate=stored["negate"],
        vehicle=stored["vehicle"],
        parts=tuple(prepare_condition(part) for part in stored["parts"]),
    )
