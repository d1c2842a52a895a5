"""`cardservice payer statement`: what a person is handed, as words, for a script, or for a spreadsheet."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from cardservice.audit.service import record
from cardservice.cardholders.service import require_cardholder
from cardservice.commands.common import actor, command, identifier, json_option, money, opened, say
from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId, PayerId
from cardservice.ledger.errors import PayerUnknown
from cardservice.ledger.payers import payer_at
from cardservice.ledger.statements import (
    Money,
    Period,
    StatementLine,
    StatementPage,
    statement_pages,
)
from cardservice.ledger.statements.words import described, sold
from cardservice.money import format_minor

# What a spreadsheet takes for the beginning of a formula, in either width, and what it skips before one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_COLUMNS = (
    *("settled_on", "number", "occurred_at", "transaction", "what", "provider", "reverses", "late"),
    *("currency", "prepaid", "arrears", "prepaid_after", "arrears_after"),
)
_day = click.DateTime(["%Y-%m-%d"])


@click.command("statement")
@click.argument("payer_id", required=False)
@click.option("--cardholder", "cardholder_id", help="Of whoever pays for this cardholder now.")
@click.option("--from", "first", type=_day, required=True, help="The first day, such as 2026-01-01.")
@click.option("--to", "last", type=_day, required=True, help="The last day; it is included.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV for a spreadsheet.")
@json_option
@command
def payer_statement(
    payer_id: str | None,
    cardholder_id: str | None,
    first: datetime,
    last: datetime,
    *,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Print an account statement by days of settlement; that you asked is written to the audit log."""
    if (payer_id is None) == (cardholder_id is None):
        raise OrderInvalid("name a payer, or somebody with --cardholder; one of them")
    if as_csv and as_json:
        raise OrderInvalid("choose --json or --csv")
    asked, period = identifier(payer_id or cardholder_id or ""), Period(first.date(), last.date())
    with opened() as context:
        _note(context, asked, period)
        with context.database.reading() as connection:
            payer = PayerId(asked)
            if cardholder_id is not None:
                holder = require_cardholder(connection, CardholderId(asked))
                found = payer_at(connection, holder, context.now())
                if found is None:
                    raise PayerUnknown(f"nobody pays for {holder}; `payer assign` one")
                payer = found
            pages = list(statement_pages(connection, payer, period))
        zone = ZoneInfo(context.scheme.timezone)
    if as_csv:
        click.echo(_csv(pages, zone), nl=False)
    else:
        say("\n".join(_words(pages, zone)), _values(pages), as_json=as_json)


def _note(context: Context, asked: object, period: Period) -> None:
    """Note first, and for good, that it is read: what was asked, so that no note links person and payer."""
    with context.database.begin() as connection:
        days = {"first": period.first.isoformat(), "last": period.last.isoformat()}
        record(connection, actor(), "payer.statement", asked, context.now(), **days)


def _given_back(line: StatementLine, zone: ZoneInfo) -> str:
    return ", ".join(f"{sold(each)} of {_date(each.occurred_at, zone)}" for each in line.reverses)


def _date(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()


def _provider(line: StatementLine) -> str:
    return line.provider_name or line.provider_id or ""


def _words(pages: Sequence[StatementPage], zone: ZoneInfo) -> Iterator[str]:
    start, end = pages[0], pages[-1]
    unit = start.unit
    yield f"Statement of {start.payer_id} from {start.period.first} to {start.period.last}"
    yield f"{start.period.first}  opening balance: {_balance(start.opening, unit)}"
    for page in pages:
        for line in page.lines:
            after = line.balance or Money()
            yield f"{_line(line, unit, zone)}; then {_balance(after, unit)}"
    yield f"{end.period.last}  closing balance: {_balance(end.closing, unit)}"
    if end.unsettled:
        yield "Not settled yet:"
        yield from (f"  {_line(line, unit, zone)}" for line in end.unsettled)


def _line(line: StatementLine, unit: str, zone: ZoneInfo) -> str:
    occurred = _date(line.occurred_at, zone)
    parts = [f"{line.place.settled_on if line.place else occurred}  {described(line)}"]
    if provider := _provider(line):
        parts.append(provider)
    if line.reverses:
        parts.append(f"gives back {_given_back(line, zone)}")
    if line.late:
        parts.append(f"late, of {occurred}")
    return f"{', '.join(parts)}: {money(line.moved.total_minor, unit)}"


def _balance(held: Money, unit: str) -> str:
    owed = f", owed {money(-held.arrears_minor, unit)}" if held.arrears_minor else ""
    return f"{money(held.prepaid_minor, unit)}{owed}"


def _values(pages: Sequence[StatementPage]) -> dict[str, Any]:
    start, end = pages[0], pages[-1]
    return {
        "payer": str(start.payer_id),
        "from": start.period.first.isoformat(),
        "to": start.period.last.isoformat(),
        "currency": start.unit,
        "opening": _money_values(start.opening),
        "lines": [_line_values(line) for page in pages for line in page.lines],
        "closing": _money_values(end.closing),
        "not_settled_yet": [_line_values(line) for line in end.unsettled],
    }


def _line_values(line: StatementLine) -> dict[str, Any]:
    return {
        "settled_on": None if line.place is None else line.place.settled_on.isoformat(),
        "epoch": None if line.place is None else line.place.epoch,
        "sequence": None if line.place is None else line.place.sequence,
        "transaction": str(line.transaction),
        "occurred_at": line.occurred_at.isoformat(),
        "kind": line.kind,
        "what": described(line),
        "service": line.service,
        "action": line.action,
        "provider": line.provider_id,
        "provider_name": line.provider_name,
        "items": list(line.items),
        "reverses": [str(each.transaction) for each in line.reverses],
        "late": line.late,
        "moved": _money_values(line.moved),
        "balance": None if line.balance is None else _money_values(line.balance),
    }


def _money_values(held: Money) -> dict[str, int]:
    return {"prepaid_minor": held.prepaid_minor, "arrears_minor": held.arrears_minor}


def _csv(pages: Sequence[StatementPage], zone: ZoneInfo) -> str:
    """RFC 4180; amounts are numbers, and no text is taken for a formula."""
    start, end = pages[0], pages[-1]
    written = io.StringIO()
    rows = csv.DictWriter(written, _COLUMNS, restval="")
    rows.writeheader()
    rows.writerow(_sum_row("opening balance", start.period.first, start.opening, start.unit))
    rows.writerows(_row(line, start.unit, zone) for page in pages for line in page.lines)
    rows.writerow(_sum_row("closing balance", end.period.last, end.closing, end.unit))
    rows.writerows(_row(line, end.unit, zone) for line in end.unsettled)
    return written.getvalue()


def _sum_row(what: str, day: date, held: Money, unit: str) -> dict[str, str]:
    return {"settled_on": day.isoformat(), "what": what, "currency": unit, **_after(held, unit)}


def _row(line: StatementLine, unit: str, zone: ZoneInfo) -> dict[str, str]:
    place = line.place
    return {
        "settled_on": "not settled yet" if place is None else place.settled_on.isoformat(),
        "number": "" if place is None else f"{place.epoch}/{place.sequence}",
        "occurred_at": line.occurred_at.astimezone(zone).isoformat(timespec="seconds"),
        "transaction": str(line.transaction),
        "what": harmless(described(line)),
        "provider": harmless(_provider(line)),
        "reverses": harmless(_given_back(line, zone)),
        "late": "late" if line.late else "",
        "currency": unit,
        "prepaid": format_minor(line.moved.prepaid_minor, unit),
        "arrears": format_minor(line.moved.arrears_minor, unit),
        **({} if line.balance is None else _after(line.balance, unit)),
    }


def _after(held: Money, unit: str) -> dict[str, str]:
    return {
        "prepaid_after": format_minor(held.prepaid_minor, unit),
        "arrears_after": format_minor(held.arrears_minor, unit),
    }


def harmless(text: str) -> str:
    """A cell that a spreadsheet shows and does not compute: what looks like a formula begins with '."""
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_FORMULA) else text
