"""Reads tests/vectors/card-keys.json."""

import json
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "vectors" / "card-keys.json"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))["vectors"]
# Computed by ourselves from the same rule: they hold the code to itself and witness nothing.
UNWITNESSED = "derived-here"


def of(*groups: str) -> pytest.MarkDecorator:
    """A parametrisation with the vectors of these groups, each named with its origin."""
    chosen = [vector for vector in VECTORS if vector["group"] in groups]
    assert chosen, groups
    names = [f"{vector['name']} ({vector['origin']})" for vector in chosen]
    return pytest.mark.parametrize("vector", chosen, ids=names)


def inputs(vector: dict[str, Any], *names: str) -> list[bytes]:
    """Inputs as bytes, in this order."""
    return [bytes.fromhex(vector["inputs"][name]) for name in names]


def expected(vector: dict[str, Any], name: str) -> bytes:
    """An expected value as bytes."""
    return bytes.fromhex(vector["expected"][name])
