"""`conformance`: the checks of `reader_agent.conformance` on the cards that are there, with a report."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reader_agent.commands import common
from reader_agent.conformance import Outcome, Result, examine
from reader_agent.errors import ConfigInvalid, NoCard, ReaderError
from reader_agent.wire import to_rfc3339

if TYPE_CHECKING:
    from reader_agent.transport.slots import SlotReaders


@click.command()
@click.option("--reader", "names", multiple=True, help="on these readers (default: on all that hold a card)")
@click.option(
    "--pin-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="has the PIN, for what wants it; a wrong one costs an attempt, and no second is made",
)
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="write it here, as JSON")
@common.as_json_option
@common.telling_errors
def conformance(names: tuple[str, ...], pin_file: Path | None, report: Path | None, as_json: bool) -> None:
    """Check what the agent relies on, card by card; exit status 1 if something fails. Nothing is written."""
    pin = None if pin_file is None else pin_file.read_text(encoding="ascii").strip()
    with common.readers() as readers:
        wanted = names or _with_cards(readers)
        cards: list[dict[str, object]] = []
        has_failed = False
        for name in wanted:
            slot = readers.slot(name)
            results = examine(readers.connect(name), pin)
            has_failed |= any(each.outcome is Outcome.FAILED for each in results)
            atr, checks = slot.atr.hex().upper(), [_json(each) for each in results]
            cards.append({"reader": slot.name, "atr": atr, "checks": checks})
            if not as_json:
                click.echo("\n".join(_lines(slot.name, slot.atr, results)))
    value = {"at": to_rfc3339(datetime.now(UTC)), "cards": cards}
    if as_json:
        click.echo(json.dumps(value))
    if report is not None:
        try:
            report.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigInvalid(f"{report} cannot be written: {error.strerror}") from error
    if has_failed:
        raise SystemExit(common.STATUS_ERROR)


def _with_cards(readers: "SlotReaders") -> list[str]:
    """The readers that hold a card. Raises ReaderError without readers, NoCard without cards."""
    there = readers.names()
    if not there:
        raise ReaderError("no reader is connected; plug one in, or ask reader-agent doctor why")
    found = [name for name in there if readers.slot(name).has_card]
    if not found:
        raise NoCard(" or ".join(there))
    return found


def _json(result: Result) -> dict[str, str]:
    return {
        "name": result.check.name,
        "clause": result.check.clause,
        "outcome": result.outcome,
        "detail": result.detail,
    }


def _lines(reader: str, atr: bytes, results: Sequence[Result]) -> list[str]:
    counts = Counter(result.outcome for result in results)
    said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)
    lines = [f"{reader}, ATR {atr.hex().upper()}: {said}"]
    lines += [
        f"  {result.outcome:8} {result.check.name} ({result.check.clause}): {result.detail}"
        for result in results
    ]
    return lines
