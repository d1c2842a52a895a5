"""What is kept of a person, for that person: as JSON, and as text that can be read without a program."""

import base64
import json
import os
from pathlib import Path

import click

from cardservice.cardholders.export import export_person
from cardservice.cardholders.export_words import Writing
from cardservice.cardholders.guardians import May
from cardservice.cardholders.service import require_cardholder
from cardservice.commands.asking import asked_by_option, asked_of, check_asker
from cardservice.commands.common import actor, command, identifier, json_option, opened, say
from cardservice.commands.erasing import cardholder

__all__ = ["cardholder"]

_JSON, _TEXT, _PHOTO = "record.json", "record.txt", "photo.jpg"


@cardholder.command("export")
@click.argument("cardholder_id")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@asked_by_option
@json_option
@command
def cardholder_export(cardholder_id: str, folder: Path, asked_by: str | None, as_json: bool) -> None:
    """Write all that is kept of a person into a new folder, for that person (subject access).

    record.json is complete, record.txt says the same for reading, photo.jpg is the photo. Others are left
    out: of a family that pays, there is what this person's own cards did. Make sure who asks before you give
    it to them. A guardian who asks for a child is not told an address that is protected.
    """
    with opened() as context, asked_of(context, identifier(cardholder_id)) as connection:
        holder = require_cardholder(connection, identifier(cardholder_id))
        asker = check_asker(context, connection, holder, asked_by, May.SEE)
        exported = export_person(context, connection, holder, actor=actor(), asker=asker)
        # Within the transaction: what was not written was not read.
        folder.mkdir(mode=0o700)
        writing = Writing(context.zone, context.scheme.currency, _PHOTO)
        files = {
            _JSON: (json.dumps(exported, ensure_ascii=False, indent=1) + "\n").encode(),
            _TEXT: ("\n".join(writing.lines(exported)) + "\n").encode(),
        }
        if (photo := exported["record"]["photo_jpeg_base64"]) is not None:
            files[_PHOTO] = base64.b64decode(photo)
        for name, content in files.items():
            _write(folder / name, content)
    values = {"cardholder": exported["cardholder"], "folder": str(folder), "files": list(files)}
    say(f"Written to {folder}: {', '.join(files)}.", values, as_json=as_json)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
