"""Small JSON files that people write: read strictly, and refused with the place that is at fault."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError

from cardservice.services.seam import TariffError

_MAX_PLACES = 10  # ours: named in one refusal


def load_file(path: Path, schema: Schema, max_bytes: int) -> dict[str, Any]:
    """The file's object as the schema loads it; raises TariffError and nothing else."""
    content = read_object(path, max_bytes)
    try:
        values: dict[str, Any] = schema.load(content)
    except ValidationError as problem:
        raise TariffError(path.name, None, _listed(list(_places("", problem.messages)))) from problem
    return values


def read_object(path: Path, max_bytes: int) -> dict[str, Any]:
    """The file's object with decimals as they stand there, none a float; raises TariffError."""
    content = _read(path, max_bytes)
    if not isinstance(content, dict):
        raise TariffError(path.name, None, "is not a JSON object")
    return content


def _read(path: Path, max_bytes: int) -> object:
    try:
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
    except OSError as problem:
        raise TariffError(path.name, None, f"cannot be read: {problem.strerror}") from problem
    if len(raw) > max_bytes:
        raise TariffError(path.name, None, f"is larger than {max_bytes >> 10} KiB")
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_float=Decimal, object_pairs_hook=_without_repetition)
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise TariffError(path.name, line, "is not UTF-8") from problem
    except json.JSONDecodeError as problem:
        raise TariffError(path.name, problem.lineno, f"is not JSON: {problem.msg}") from problem
    except (ValueError, RecursionError) as problem:
        raise TariffError(path.name, None, f"is not JSON that can be read: {problem}") from problem


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a name stand twice and says not which one counts; here it is refused."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there twice")
    return found


def _listed(places: list[str]) -> str:
    more = len(places) - _MAX_PLACES
    return "; ".join(places[:_MAX_PLACES]) + (f"; and {more} more" if more > 0 else "")


def _places(place: str, says: object) -> Iterator[str]:
    """`items[3].price: what is wrong`, one place after the other; `[0]` is the first of a list."""
    if isinstance(says, dict):
        for name, value in says.items():
            step = f"[{name}]" if isinstance(name, int) else f".{name}" if place else str(name)
            yield from _places(place + step, value)
    else:
        reasons = says if isinstance(says, list) else [says]
        text = f"{place}: {' '.join(map(str, reasons))}"
        yield text if text.isprintable() else ascii(text)[1:-1]
