"""`readers` and `watch`: which readers there are, what is in them, and what happens to them."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from reader_agent.commands import common
from reader_agent.errors import AgentError, ConfigInvalid, PcscUnavailable
from reader_agent.wire import to_rfc3339

if TYPE_CHECKING:
    from reader_agent.transport.slots import Slot, SlotReaders

_SLICE_MS = 500
_PAUSE_S = 0.2


@click.command("readers")
@common.as_json_option
@common.telling_errors
def list_readers(as_json: bool) -> None:
    """List the connected readers, what is in them, and whether they have keys for a PIN."""
    with common.readers() as readers:
        found = [_look(readers, name) for name in readers.names()]
    lines = [_line(each) for each in found]
    nothing = "No reader is connected; reader-agent doctor says why."
    common.show(as_json, {"readers": found}, lines or [nothing])


@click.command()
@click.option("--for", "seconds", type=click.FloatRange(0), help="end after so many (default: at Ctrl-C)")
@common.as_json_option
@common.telling_errors
def watch(seconds: float | None, as_json: bool) -> None:
    """Print a line for each reader and card that comes or goes, also while pcscd is restarted."""
    try:
        from reader_agent.transport.slots import SlotWatch  # noqa: PLC0415 -- pyscard is needed from here on
    except ImportError as error:
        raise ConfigInvalid("pyscard is not installed; install citizen-card[agent]") from error
    deadline = None if seconds is None else time.monotonic() + seconds
    known: dict[str, Slot] = {}
    with closing(SlotWatch()) as slots:
        while deadline is None or time.monotonic() < deadline:
            try:
                now = slots.wait(slots.names(), known, _SLICE_MS)
            except PcscUnavailable:
                now = {}
            for reader, event in changes(known, now):
                _tell(reader, event, as_json=as_json)
            known = now
            if not now:
                time.sleep(_PAUSE_S)


def changes(before: "Mapping[str, Slot]", now: "Mapping[str, Slot]") -> Iterator[tuple[str, str]]:
    """Reader and event, for each between two looks; a card that was swapped has gone and come."""
    for reader in sorted(before.keys() | now.keys()):
        was, slot = before.get(reader), now.get(reader)
        if slot is None:
            yield reader, "reader lost"
            continue
        if was is None:
            yield reader, "reader found"
        is_other = was is None or was.event_count != slot.event_count
        if was is not None and was.has_card and (is_other or not slot.has_card):
            yield reader, "card removed"
        if slot.has_card and (is_other or (was is not None and not was.has_card)):
            yield reader, "card inserted"


def _look(readers: "SlotReaders", name: str) -> dict[str, object]:
    slot = readers.slot(name)
    try:
        has_pad = readers.has_pin_pad(name)
    except AgentError:
        # Held by somebody else, or gone this moment
        has_pad = None
    atr = slot.atr.hex().upper() if slot.has_card else None
    return {"reader": name, "card": slot.has_card, "atr": atr, "pin_pad": has_pad}


def _line(found: Mapping[str, object]) -> str:
    card = f"a card, ATR {found['atr']}" if found["card"] else "no card"
    if found["pin_pad"] is None:
        return f"{found['reader']}: {card}; held by another program"
    return f"{found['reader']}: {card}{'; has keys for a PIN' if found['pin_pad'] else ''}"


def _tell(reader: str, event: str, *, as_json: bool) -> None:
    moment = to_rfc3339(datetime.now(UTC))
    if as_json:
        click.echo(json.dumps({"at": moment, "reader": reader, "event": event.replace(" ", "_")}))
    else:
        click.echo(f"{moment}  {event:13}  {reader}")
