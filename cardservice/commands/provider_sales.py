"""`cardservice provider sales`: what was sold, one by one, to customers under a pseudonym."""

import csv
import io
from datetime import datetime
from typing import Any

import click

from cardservice.audit.service import record
from cardservice.commands.common import acting, actor, command, json_option, money, opened, say
from cardservice.commands.statements import harmless
from cardservice.errors import OrderInvalid
from cardservice.ids import ProviderId
from cardservice.ledger.statements import Period
from cardservice.money import format_minor
from cardservice.providers.pseudonyms import pseudonyms_for
from cardservice.providers.sales import Sold, sales_of
from cardservice.providers.service import require_provider
from cardservice.staff.roles import Right

_DAY = click.DateTime(["%Y-%m-%d"])
_COLUMNS = ("settled_on", "transaction", "service", "action", "currency", "amount", "given_back", "customer")


@click.command("sales")
@click.argument("provider_id")
@click.argument("first", type=_DAY)
@click.argument("last", type=_DAY)
@click.option("--csv", "as_csv", is_flag=True, help="For a spreadsheet.")
@json_option
@command
def sales(provider_id: str, first: datetime, last: datetime, as_csv: bool, as_json: bool) -> None:
    """List what a provider sold from FIRST to LAST, by day of settlement.

    A customer has a pseudonym that is this provider's alone, the same in each report; nobody is named, and no
    card or payer. That you asked is written to the audit log.
    """
    if as_csv and as_json:
        raise OrderInvalid("choose --json or --csv")
    period, provider = Period(first.date(), last.date()), ProviderId(provider_id)
    with opened() as context:
        acting().require_provider(Right.SEE_PROVIDERS, provider_id)
        with context.database.begin() as connection:
            require_provider(connection, provider)
            words = f"{period.first} to {period.last}"
            record(connection, actor(), "provider.sales", provider_id, context.now(), days=words)
        pseudonym = pseudonyms_for(context.keys.services_master, provider)
        with context.database.reading() as connection:
            found = list(sales_of(connection, provider, period, pseudonym))
    if as_csv:
        click.echo(_csv(found), nl=False)
        return
    lines = [
        f"{each.settled_on}  {each.service} {each.action}  {money(each.amount_minor, each.unit)}"
        f"  {each.customer or 'nobody known'}"
        for each in found
    ]
    values = {"provider": provider_id, "sales": [_values(each) for each in found]}
    say("\n".join(lines) or "Nothing was sold.", values, as_json=as_json)


def _values(each: Sold) -> dict[str, Any]:
    return {
        "settled_on": each.settled_on.isoformat(),
        "transaction": str(each.transaction),
        "service": each.service,
        "action": each.action,
        "amount_minor": each.amount_minor,
        "given_back_minor": each.given_back_minor,
        "currency": each.unit,
        "customer": each.customer,
    }


def _csv(found: list[Sold]) -> str:
    """RFC 4180; amounts are numbers, and no text is taken for a formula."""
    written = io.StringIO()
    rows = csv.DictWriter(written, _COLUMNS)
    rows.writeheader()
    for each in found:
        values = _values(each)
        amounts = {
            name: format_minor(values.pop(f"{name}_minor"), each.unit) for name in ("amount", "given_back")
        }
        texts = {name: harmless(values[name]) for name in ("service", "action")}
        rows.writerow({**values, **texts, **amounts})
    return written.getvalue()
