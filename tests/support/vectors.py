"""Reads the outside vectors of tests/vectors/."""

import json
from dataclasses import dataclass
from pathlib import Path

VECTORS = Path(__file__).parents[1] / "vectors"


@dataclass(frozen=True, slots=True)
class Vector:
    """One published value: what goes in, and what must come out."""

    group: str
    name: str
    source: str
    inputs: dict[str, str]
    expected: dict[str, str]

    def __str__(self) -> str:
        return self.name


def card_vectors(group: str) -> list[Vector]:
    """The vectors of a group in card.json, of which there must be some."""
    document = json.loads((VECTORS / "card.json").read_text(encoding="utf-8"))
    found = [
        Vector(item["group"], item["name"], item["source"], item["inputs"], item["expected"])
        for item in document["vectors"]
        if item["group"] == group
    ]
    assert found, f"no vectors of group {group}"
    return found
