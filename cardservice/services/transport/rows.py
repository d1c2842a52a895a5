"""Rows of a GTFS file, streamed, each with the line it begins on, each checked by its schema."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError

from cardservice.services.seam import TariffError
from cardservice.services.transport.archive import Archive
from cardservice.services.transport.schemas import RowSchema

MAX_ROWS = 1_000_000  # ours
MAX_COLUMNS = 200  # ours
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line its first byte is on, and its values as the schema loaded them."""

    file: str
    line: int
    values: Mapping[str, Any]

    def error(self, reason: str) -> TariffError:
        """The refusal of this row."""
        return TariffError(self.file, self.line, reason)


@dataclass(frozen=True, slots=True)
class Table:
    """A file's header and its rows."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(archive: Archive, schema: RowSchema) -> Table:
    """Every row of the schema's file; raises TariffError with the line of the first that is not right."""
    records = _records(schema.file, archive.lines(schema.file))
    _, header = next(records, (1, []))
    columns = _columns(schema, header)
    rows: list[Row] = []
    first_lines: dict[tuple[object, ...], int] = {}
    for line, record in records:
        if len(rows) == MAX_ROWS:
            raise TariffError(schema.file, line, f"the file has more than {MAX_ROWS} rows")
        row = Row(schema.file, line, _values(schema, columns, line, record))
        _check_unique(schema, row, first_lines)
        rows.append(row)
    return Table(columns, tuple(rows))


def _records(file: str, raw: Iterator[bytes]) -> Iterator[tuple[int, list[str]]]:
    # strict: a quote in the wrong place moves every comma after it, so it is an error and not a guess.
    reader = csv.reader(_decoded(file, raw), strict=True)
    line = 1
    try:
        for record in reader:
            if record:
                yield line, record
            # A quoted value may hold line breaks: the next record begins after as many lines as were read.
            line = reader.line_num + 1
    except csv.Error as problem:
        raise TariffError(file, line, f"is not a row of comma-separated values: {problem}") from problem


def _decoded(file: str, raw: Iterator[bytes]) -> Iterator[str]:
    """GTFS reference, "File requirements": UTF-8, with or without a byte order mark."""
    for number, line in enumerate(raw, 1):
        content = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as problem:
            raise TariffError(file, number, f"is not UTF-8: byte {content[problem.start]:#04x}") from problem
        if _CONTROL.search(text):
            raise TariffError(file, number, "holds a control character")
        yield text


def _columns(schema: RowSchema, header: list[str]) -> tuple[str, ...]:
    if not header:
        raise TariffError(schema.file, 1, "is empty: the first line must name the columns")
    if len(header) > MAX_COLUMNS:
        raise TariffError(schema.file, 1, f"has more than {MAX_COLUMNS} columns")
    columns = tuple(name.strip() for name in header)
    for name in columns:
        if columns.count(name) > 1:
            raise TariffError(schema.file, 1, f"column {name[:60]!r} is there twice")
    for name, column in schema.fields.items():
        if column.required and name not in columns:
            raise TariffError(schema.file, 1, f"required column {name!r} is missing")
    return columns


def _values(schema: RowSchema, columns: tuple[str, ...], line: int, record: list[str]) -> Mapping[str, Any]:
    if len(record) != len(columns):
        raise TariffError(schema.file, line, f"has {len(record)} values for {len(columns)} columns")
    # An empty value is the same as an absent one: GTFS reference, "Field types".
    filled = {name: value.strip() for name, value in zip(columns, record, strict=True) if value.strip()}
    if schema.every_column_counts:
        for name in filled:
            if name not in schema.fields:
                reason = f"column {name[:60]!r} is not known, and what it says could change the price"
                raise TariffError(schema.file, line, reason)
    try:
        values: Mapping[str, Any] = schema.load(filled)
    except ValidationError as problem:
        name, messages = next(iter(problem.messages_dict.items()))
        raise TariffError(schema.file, line, f"{name}: {messages[0]}") from problem
    return values


def _check_unique(schema: RowSchema, row: Row, first_lines: dict[tuple[object, ...], int]) -> None:
    if not schema.key:
        return
    key = tuple(row.values.get(name) for name in schema.key)
    if key in first_lines:
        shown = ", ".join("(empty)" if value is None else str(value) for value in key)
        raise row.error(f"{shown} is on line {first_lines[key]} already")
    first_lines[key] = row.line
