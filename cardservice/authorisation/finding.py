"""Looking something up without a card: who may, in which counters, and that it is noted."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from marshmallow import ValidationError
from sqlalchemy import ColumnElement, Connection, and_, or_, select

from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.errors import QuoteRefused, RoleNotAllowed, ServiceOfAnother
from cardservice.ledger.models import counter
from cardservice.ledger.values import CounterView
from cardservice.services.findable import Findable, Finding, Trace
from cardservice.services.seam import Refusal
from cardservice.tariffs.service import tariff_in_force
from cardservice.terminals.service import Terminal


def look_up(context: Context, terminal: Terminal, name: str, question: Mapping[str, object]) -> Finding:
    """What is found, once it is noted that it was asked.

    Raises RoleNotAllowed, ServiceOfAnother and QuoteRefused.
    """
    # What it can beside what every service can.
    service: object = context.services.get(name)
    moment = context.now()
    if not isinstance(service, Findable) or terminal.role not in service.find_roles:
        raise RoleNotAllowed(terminal.id, terminal.role, f"{name} look-up")
    if not terminal.may_sell(name, moment):
        raise ServiceOfAnother(terminal.id, terminal.provider_id, name)
    try:
        asked: Mapping[str, object] = service.find_schema().load(question)
    except ValidationError as error:
        raise QuoteRefused(
            "details_malformed", "The details are not of this question.", error.messages_dict
        ) from error
    with context.database.reading() as connection:
        version = tariff_in_force(connection, name, moment)
    if version is None:
        raise QuoteRefused("tariff_missing", "There is no tariff for this.")
    tariff = context.tariffs.get(version)
    traces = service.traces(asked, tariff)
    if isinstance(traces, Refusal):
        raise QuoteRefused(traces.reason, traces.message, dict(traces.data))
    with context.database.begin() as connection:
        found = service.find(asked, _counters(connection, traces), tariff, moment)
        record(connection, f"terminal:{terminal.id}", "look-up", f"{name} {found.about}", moment)
    return found


def _counters(connection: Connection, traces: Sequence[Trace]) -> list[list[CounterView]]:
    """The counters that tell of it, by payer."""
    own = counter.c
    rows = connection.execute(
        select(own.payer_id, own.cardholder_id, own.rule, own.period, own.used)
        # As the index has it, which is of those alone.
        .where(own.period.like("%/%"), or_(*map(_told_by, traces)))
        .order_by(own.payer_id, own.cardholder_id, own.rule, own.period)
    ).all()
    return [
        [CounterView(row.cardholder_id, row.rule, row.period, row.used) for row in each]
        for _, each in groupby(rows, key=lambda row: row.payer_id)
    ]


def _told_by(trace: Trace) -> ColumnElement[bool]:
    own = counter.c
    begins = own.period.startswith(f"{trace.begins}/", autoescape=True)
    return and_(own.rule == trace.rule, begins, own.period.contains(trace.word, autoescape=True))
