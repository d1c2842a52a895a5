"""Small JSON files that people write: read strictly, and refused with the place that is at fault."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError

from cardservice.services.seam import TariffError

_MAX_PLACES = 10  # ours: named in one refusal
_MARK = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},\n]|[^\s\[\]{},:"]+')


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file that a schema has loaded, with what it takes to say where in it something is at fault."""

    file: str
    values: dict[str, Any]
    text: str

    def line(self, place: str) -> int:
        """Where a place such as `items[3].price` begins; of what is missing, what it is missing in."""
        return _line(self.text, place)

    def error(self, place: str, reason: str) -> TariffError:
        """The refusal of a place."""
        return TariffError(self.file, self.line(place), f"{place}: {reason}")


@dataclass(frozen=True, slots=True)
class Document:
    """A file's object as it stands there, no decimal a float; it says on which line each part begins."""

    file: str
    values: dict[str, Any]
    text: str

    def line(self, node: object, field: str = "") -> int:
        """Where a field of one of its own objects begins; the object, where it has no such field."""
        place = next((where for where, each in _objects("", self.values) if each is node), "")
        return _line(self.text, _step(place, field) if field else place)


def load_file(path: Path, schema: Schema, max_bytes: int) -> dict[str, Any]:
    """The file's object as the schema loads it; raises TariffError and nothing else."""
    return read_sheet(path, schema, max_bytes).values


def read_sheet(path: Path, schema: Schema, max_bytes: int) -> Sheet:
    """The file as the schema loads it; raises TariffError, with the line of the first place at fault."""
    text, content = _read_object(path, max_bytes)
    try:
        return Sheet(path.name, schema.load(content), text)
    except ValidationError as problem:
        places = list(_places("", problem.messages))
        line = _line(text, places[0][0])
        listed = [f"{place}: {reason}" for place, reason in places]
        raise TariffError(path.name, line, _listed(listed)) from problem


def read_document(path: Path, max_bytes: int) -> Document:
    """The file's object with decimals as they stand there; raises TariffError."""
    text, content = _read_object(path, max_bytes)
    return Document(path.name, content, text)


def _objects(place: str, value: object) -> Iterator[tuple[str, object]]:
    """Every object in a value with its place."""
    if isinstance(value, dict):
        yield place, value
        for name, each in value.items():
            yield from _objects(_step(place, name), each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _objects(_step(place, number), each)


def _read_object(path: Path, max_bytes: int) -> tuple[str, dict[str, Any]]:
    text, content = _read(path, max_bytes)
    if not isinstance(content, dict):
        raise TariffError(path.name, None, "is not a JSON object")
    return text, content


def _read(path: Path, max_bytes: int) -> tuple[str, object]:
    try:
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
    except OSError as problem:
        raise TariffError(path.name, None, f"cannot be read: {problem.strerror}") from problem
    if len(raw) > max_bytes:
        raise TariffError(path.name, None, f"is larger than {max_bytes >> 10} KiB")
    try:
        text = raw.decode("utf-8-sig")
        return text, json.loads(text, parse_float=Decimal, object_pairs_hook=_without_repetition)
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


def _places(place: str, says: object) -> Iterator[tuple[str, str]]:
    """`items[3].price` and what is wrong, one place after the other; `[0]` is the first of a list."""
    if isinstance(says, dict):
        for name, value in says.items():
            yield from _places(_step(place, name), value)
    else:
        reasons = says if isinstance(says, list) else [says]
        yield _printable(place), _printable(" ".join(map(str, reasons)))


def _step(place: str, name: object) -> str:
    if isinstance(name, int):
        return f"{place}[{name}]"
    return f"{place}.{name}" if place else str(name)


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]


def _line(text: str, place: str) -> int:
    lines = _lines(text)
    while place and place not in lines:
        place = place[: max(place.rfind("."), place.rfind("["), 0)]
    return lines.get(place, 1)


def _lines(text: str) -> dict[str, int]:
    """The line on which each place begins, of a text that has been read as JSON."""
    found: dict[str, int] = {}
    line = 1
    # Of each list or object that is open: its place, and the number or name of what is read in it; None where
    # an object's next name is still to come.
    around: list[str] = []
    at: list[int | str | None] = []
    for mark in _MARK.findall(text):
        if mark == "\n":
            line += 1
        elif mark in ("]", "}"):
            around.pop()
            at.pop()
        elif mark == ",":
            at[-1] = at[-1] + 1 if isinstance(at[-1], int) else None
        elif at and at[-1] is None:
            at[-1] = json.loads(mark)
            found[_printable(_step(around[-1], at[-1]))] = line
        else:
            place = _step(around[-1], at[-1]) if at else ""
            found.setdefault(_printable(place), line)
            if mark in ("[", "{"):
                around.append(place)
                at.append(0 if mark == "[" else None)
    return found
