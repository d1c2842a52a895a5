"""`cardservice provider statement`: what a provider is owed, as words, for a script, or for a spreadsheet."""

import csv
import io
from datetime import datetime
from typing import Any

import click

from cardservice.audit.service import record
from cardservice.commands.common import Failure, acting, actor, command, json_option, money, opened, say
from cardservice.commands.statements import harmless
from cardservice.errors import OrderInvalid
from cardservice.ids import ProviderId
from cardservice.ledger.statements import Period
from cardservice.money import format_minor
from cardservice.providers.statements import ProviderLine, ProviderStatement, provider_statement
from cardservice.staff.roles import Right

_DAY = click.DateTime(["%Y-%m-%d"])
_COLUMNS = (
    *("settled_on", "service", "action", "tax_code", "currency"),
    *("transactions", "charged", "given_back", "tax", "owed"),
)


@click.command("statement")
@click.argument("provider_id")
@click.argument("first", type=_DAY)
@click.argument("last", type=_DAY)
@click.option("--csv", "as_csv", is_flag=True, help="For a spreadsheet.")
@json_option
@command
def statement(provider_id: str, first: datetime, last: datetime, as_csv: bool, as_json: bool) -> None:
    """Print what a provider is owed from FIRST to LAST, by day of settlement and service.

    It adds up to the ledger, or the command says for which days it does not, with exit status 1. Nobody is
    named. That you asked is written to the audit log.
    """
    if as_csv and as_json:
        raise OrderInvalid("choose --json or --csv")
    period = Period(first.date(), last.date())
    with opened() as context:
        acting().require_provider(Right.SEE_PROVIDERS, provider_id)
        words = f"{period.first} to {period.last}"
        with context.database.begin() as connection:
            record(connection, actor(), "provider.statement", provider_id, context.now(), days=words)
        with context.database.reading() as connection:
            found = provider_statement(connection, ProviderId(provider_id), period, context.scheme.currency)
    if found is None:
        raise OrderInvalid(f"there is no provider {provider_id!r}")
    if as_csv:
        click.echo(_csv(found), nl=False)
    else:
        say("\n".join(_words(found)), _values(found), as_json=as_json)
    if found.off:
        days = ", ".join(f"{day}" for day in found.off)
        raise Failure(f"it does not add up to the ledger on {days}; run `ledger verify`")


def _words(found: ProviderStatement) -> list[str]:
    unit = found.unit
    return [
        f"Statement of {found.provider_id} from {found.period.first} to {found.period.last}",
        f"{found.period.first}  owed before: {money(found.opening_minor, unit)}",
        *(f"{line.settled_on}  {_line(line)}" for line in found.lines),
        f"{found.period.last}  owed after: {money(found.closing_minor, unit)}",
        *(["Not settled yet:"] if found.unsettled else []),
        *(f"  {_line(line)}" for line in found.unsettled),
    ]


def _line(line: ProviderLine) -> str:
    code = f", tax code {line.tax_code}" if line.tax_code else ""
    back = f", given back {money(line.given_back_minor, line.unit)}" if line.given_back_minor else ""
    what = f"{line.service} {line.action}".strip() or "other"
    charged, owed = (money(each, line.unit) for each in (line.charged_minor, line.owed_minor))
    return f"{what}{code}: {line.transactions} transactions, {charged}{back}: {owed}"


def _values(found: ProviderStatement) -> dict[str, Any]:
    return {
        "provider": found.provider_id,
        "from": found.period.first.isoformat(),
        "to": found.period.last.isoformat(),
        "currency": found.unit,
        "opening_minor": found.opening_minor,
        "lines": [_line_values(line) for line in found.lines],
        "closing_minor": found.closing_minor,
        "not_settled_yet": [_line_values(line) for line in found.unsettled],
        "does_not_add_up_on": [day.isoformat() for day in found.off],
    }


def _line_values(line: ProviderLine) -> dict[str, Any]:
    return {
        "settled_on": None if line.settled_on is None else line.settled_on.isoformat(),
        "service": line.service,
        "action": line.action,
        "tax_code": line.tax_code,
        "transactions": line.transactions,
        "charged_minor": line.charged_minor,
        "given_back_minor": line.given_back_minor,
        "tax_minor": line.tax_minor,
        "owed_minor": line.owed_minor,
    }


def _csv(found: ProviderStatement) -> str:
    """RFC 4180; amounts are numbers, and no text is taken for a formula."""
    written = io.StringIO()
    rows = csv.DictWriter(written, _COLUMNS)
    rows.writeheader()
    for line in (*found.lines, *found.unsettled):
        values = _line_values(line)
        row = {name: values.get(name) for name in _COLUMNS if name in values}
        amounts = {
            name: format_minor(values[f"{name}_minor"], line.unit)
            for name in ("charged", "given_back", "tax", "owed")
        }
        texts = {name: harmless(values[name]) for name in ("service", "action", "tax_code")}
        settled_on = values["settled_on"] or "not settled yet"
        rows.writerow({**row, **texts, **amounts, "settled_on": settled_on, "currency": line.unit})
    return written.getvalue()
