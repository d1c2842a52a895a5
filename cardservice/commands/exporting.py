"""What is kept of a person, for that person: as JSON, and as text that can be read without a program."""

import json
import os
from pathlib import Path
from typing import Any

import click

from cardservice.cardholders.export import export_person
from cardservice.cardholders.guardians import May
from cardservice.cardholders.service import require_cardholder
from cardservice.commands.asking import asked_by_option, asked_of, check_asker
from cardservice.commands.common import actor, command, identifier, json_option, opened, say
from cardservice.commands.erasing import cardholder

__all__ = ["cardholder"]

_JSON, _TEXT = "record.json", "record.txt"


@cardholder.command("export")
@click.argument("cardholder_id")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@asked_by_option
@json_option
@command
def cardholder_export(cardholder_id: str, folder: Path, asked_by: str | None, as_json: bool) -> None:
    """Write all that is kept of a person into a new folder, for that person (subject access).

    record.json is complete, record.txt says the same for reading. Others are left out: of a family that pays,
    there is what this person's own cards did. Make sure who asks before you give it to them. A guardian who
    asks for a child is not told an address that is protected.
    """
    with opened() as context, asked_of(context, identifier(cardholder_id)) as connection:
        holder = require_cardholder(connection, identifier(cardholder_id))
        asker = check_asker(context, connection, holder, asked_by, May.SEE)
        exported = export_person(context, connection, holder, actor=actor(), asker=asker)
        # Within the transaction: what was not written was not read.
        folder.mkdir(mode=0o700)
        _write(folder / _JSON, json.dumps(exported, ensure_ascii=False, indent=1) + "\n")
        _write(folder / _TEXT, "\n".join(_lines(exported)) + "\n")
    values = {"cardholder": exported["cardholder"], "folder": str(folder), "files": [_JSON, _TEXT]}
    say(f"Written to {folder}: {_JSON}, {_TEXT}.", values, as_json=as_json)


def _write(path: Path, words: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(words)


def _lines(value: Any, name: str = "", depth: int = 0) -> list[str]:
    """Names and values, what belongs to something indented below it."""
    indent, label = "  " * depth, name.replace("_", " ")
    if isinstance(value, dict):
        head = [f"{indent}{label}:"] if name else []
        return head + [
            line for key, each in value.items() for line in _lines(each, key, depth + (1 if name else 0))
        ]
    if isinstance(value, list):
        if not value:
            return [f"{indent}{label}: none"]
        if not any(isinstance(each, dict | list) for each in value):
            return [f"{indent}{label}: {', '.join(map(str, value))}"]
        return [f"{indent}{label}:"] + [
            line
            for number, each in enumerate(value, start=1)
            for line in _lines(each, f"{number}", depth + 1)
        ]
    if name == "photo_jpeg_base64":
        return [f"{indent}photo: {'none' if value is None else f'in {_JSON}'}"]
    return [f"{indent}{label}: {_said(value)}"]


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value is None else str(value)
