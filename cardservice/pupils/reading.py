"""A school's file of pupils: CSV in UTF-8, read as a whole, every line checked before anything is taken.

Values are shown in reports and opened in spreadsheets, so none may begin as a formula does.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cardservice.allergens import ALLERGENS
from cardservice.cardholders.service import MAX_FORM, MAX_NAME
from cardservice.pupils.errors import ImportRefused, Problem

# All ours.
MAX_BYTES, MAX_PUPILS, MAX_PROBLEMS = 100 << 20, 100_000, 50
NEEDED = ("number", "name", "born_on", "form")
COLUMNS = (*NEEDED, "allergens")
# How a school calls a pupil, such as a unique pupil number of 13 characters
_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9/-]{0,31}")
_BEGINNING = 4  # with a byte order mark: within two characters there is a byte 0 in UTF-16
# What spreadsheets take for the beginning of a formula
_FORMULA = ("=", "+", "-", "@", "|", "%")


@dataclass(frozen=True, slots=True, repr=False)
class Pupil:
    """A line of a file."""

    line: int
    number: str
    name: str
    born_on: date
    form: str | None
    # None: the file says nothing of them
    allergens: tuple[str, ...] | None


def read_pupils(path: Path, today: date) -> tuple[Pupil, ...]:
    """All pupils of a file. Raises ImportRefused, which names up to MAX_PROBLEMS lines."""
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    return parsed(raw, path.name, today)


def parsed(raw: bytes, name: str, today: date) -> tuple[Pupil, ...]:
    """The pupils that bytes tell of. Raises ImportRefused."""
    problems: list[Problem] = []
    pupils: list[Pupil] = []
    first_line: dict[str, int] = {}
    for found in (_pupil(each, today) for each in read_sheet(raw, name, NEEDED, COLUMNS)):
        if isinstance(found, Problem):
            problems.append(found)
        elif (first := first_line.setdefault(found.number, found.line)) != found.line:
            problems.append(Problem(found.line, f"the number {found.number} is on line {first}, too"))
        else:
            pupils.append(found)
        if len(pupils) > MAX_PUPILS:
            raise ImportRefused(name, [Problem(found.line, f"more than {MAX_PUPILS} pupils are no school")])
        if len(problems) == MAX_PROBLEMS:
            break
    if problems:
        raise ImportRefused(name, problems)
    return tuple(pupils)


def _text(raw: bytes, name: str) -> str:
    if len(raw) > MAX_BYTES:
        raise ImportRefused(name, [Problem(1, f"the file is larger than {MAX_BYTES >> 20} MiB")])
    # Without a mark it could be read as UTF-8, with a character 0 beside each letter.
    if b"\x00" in raw[:_BEGINNING]:
        raise ImportRefused(name, [Problem(1, "this is UTF-16, or no text; save the file as CSV UTF-8")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ImportRefused(name, [Problem(line, "this is not UTF-8; save the file as CSV UTF-8")]) from error


@dataclass(frozen=True, slots=True, repr=False)
class Line:
    """A line of a file by its columns; no cell begins like a formula, or cannot be shown."""

    number: int
    cells: dict[str, str]


def read_sheet(
    raw: bytes, name: str, needed: Sequence[str], columns: Sequence[str]
) -> Iterator[Line | Problem]:
    """The lines of a CSV in UTF-8 that are not empty, or what is wrong with one.

    Raises ImportRefused for what is no such file: of another encoding, too large, without a column.
    """
    reader = csv.reader(io.StringIO(_text(raw, name), newline=""), strict=True)
    try:
        head = [cell.strip().lower() for cell in next(reader, [])] or [""]
        _check_head(head, name, needed, columns)
        for cells in reader:
            if any(cells):
                yield _line(reader.line_num, cells, head)
    except csv.Error as error:
        yield Problem(reader.line_num, f"this is not CSV: {error}")


def _line(number: int, cells: list[str], head: list[str]) -> Line | Problem:
    if len(cells) != len(head):
        return Problem(number, f"it has {len(cells)} cells, not {len(head)}")
    named = dict(zip(head, cells, strict=True))
    for column, cell in named.items():
        if (reason := _unfit(cell)) is not None:
            return Problem(number, f"{column}: {cell[:40]!a} {reason}")
    return Line(number, named)


def _check_head(head: list[str], name: str, needed: Sequence[str], columns: Sequence[str]) -> None:
    missing = [column for column in needed if column not in head]
    unknown = [column for column in head if column not in columns]
    if missing:
        hint = "".join(f"; cells are divided by commas, not by {each!r}" for each in ";\t" if each in head[0])
        raise ImportRefused(name, [Problem(1, f"these columns are missing: {', '.join(missing)}{hint}")])
    if unknown:
        known = ", ".join(columns)
        raise ImportRefused(name, [Problem(1, f"{unknown[0][:40]!a} is none of the columns {known}")])
    if len(set(head)) < len(head):
        raise ImportRefused(name, [Problem(1, "a column is there twice")])


def _pupil(found: Line | Problem, today: date) -> Pupil | Problem:
    if isinstance(found, Problem):
        return found
    line, cells = found.number, found.cells
    if not _NUMBER.fullmatch(cells["number"]):
        return Problem(line, "number: up to 32 letters and digits, such as A123456789012")
    if not 1 <= len(cells["name"]) <= MAX_NAME:
        return Problem(line, f"name: up to {MAX_NAME} characters, and not nothing")
    if len(cells["form"]) > MAX_FORM:
        return Problem(line, f"form: up to {MAX_FORM} characters, such as 5B")
    born_on = day_of(cells["born_on"])
    if born_on is None or not today.year - 25 <= born_on.year or born_on > today:
        return Problem(line, f"born_on: {cells['born_on'][:40]!a} is no pupil's; write it like 2015-04-30")
    allergens = _allergens(cells["allergens"]) if "allergens" in cells else None
    if isinstance(allergens, str):
        return Problem(line, f"allergens: {allergens[:40]!a} is none of {', '.join(ALLERGENS)}")
    return Pupil(line, cells["number"], cells["name"], born_on, cells["form"] or None, allergens)


def _unfit(cell: str) -> str | None:
    if cell != cell.strip() or not cell.isprintable():
        return "has spaces around it, or characters that cannot be shown"
    return "begins like a formula" if cell.startswith(_FORMULA) else None


def day_of(text: str) -> date | None:
    """The day of a cell such as 2015-04-30; None where it is none."""
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def _allergens(cell: str) -> tuple[str, ...] | str:
    """Those of a cell such as `milk;nuts`; or what is none."""
    named = {each.strip().lower() for each in cell.split(";") if each.strip()}
    unknown = sorted(named - set(ALLERGENS))
    return unknown[0] if unknown else tuple(sorted(named))
