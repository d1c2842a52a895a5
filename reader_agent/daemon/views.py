"""The API's routes: each parses, asks the runtime one thing, and renders."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, current_app, request
from marshmallow import Schema, ValidationError

from reader_agent.catalogues import sections_json
from reader_agent.daemon.desk import Quoted
from reader_agent.daemon.errors import Malformed
from reader_agent.daemon.holders import Holder
from reader_agent.daemon.runtime import OnSale, Paid, Runtime
from reader_agent.daemon.schemas import (
    LossSchema,
    NothingSchema,
    OrderSchema,
    PayInSchema,
    PaymentSchema,
    RefundSchema,
    TotalsSchema,
)
from reader_agent.outbox_summary import OutboxSummary
from reader_agent.paying_in import PayIn
from reader_agent.service_client import Price
from reader_agent.sync import Delivery, SyncReport
from reader_agent.tapping import TapOrder
from reader_agent.wire import to_base64url, to_rfc3339

EXTENSION = "reader-agent"

blueprint = Blueprint("v1", __name__, url_prefix="/v1")

_ORDER, _PAYMENT, _NOTHING = OrderSchema(), PaymentSchema(), NothingSchema()
_REFUND, _TOTALS, _PAY_IN, _LOSS = RefundSchema(), TotalsSchema(), PayInSchema(), LossSchema()


@blueprint.get("/status")
def status() -> dict[str, object]:
    """Readers with their taps, the service, the queue."""
    return _runtime().status()


@blueprint.get("/events")
def events() -> Response:
    """Server-sent events."""
    stream = _runtime().streams.open(request.headers.get("Last-Event-ID"))
    return Response(stream, content_type="text/event-stream")


@blueprint.post("/quotes")
def quote_anybody() -> dict[str, object]:
    """A price for anybody."""
    return _quoted_json(_runtime().quote(None, _order(_parse(_ORDER))))


@blueprint.post("/taps/<handle>/quote")
def quote(handle: str) -> dict[str, object]:
    """A price for the card of a tap."""
    return _quoted_json(_runtime().quote(handle, _order(_parse(_ORDER))))


@blueprint.post("/taps/<handle>/pay")
def pay(handle: str) -> dict[str, object]:
    """A payment by the card of a tap."""
    asked = _parse(_PAYMENT)
    return _paid_json(_runtime().pay(handle, asked["key"], _order(asked)))


@blueprint.post("/taps/<handle>/pay-in")
def pay_in(handle: str) -> dict[str, object]:
    """A payment in, for whoever pays for the card of a tap."""
    asked = _parse(_PAY_IN)
    return _pay_in_json(_runtime().pay_in(handle, asked["key"], asked["amount_minor"], asked["return_url"]))


@blueprint.get("/pay-ins/<uuid:key>")
def pay_in_state(key: UUID) -> dict[str, object]:
    """How a payment in is."""
    return _pay_in_json(_runtime().pay_ins.look(key))


@blueprint.post("/pay-ins/<uuid:key>/cancellation")
def give_pay_in_up(key: UUID) -> dict[str, object]:
    """Give a payment in up."""
    _parse(_NOTHING)
    return _pay_in_json(_runtime().pay_ins.give_up(key))


@blueprint.post("/losses")
def tell_lost() -> dict[str, object]:
    """Somebody's cards are lost; what came of it nobody is told."""
    asked = _parse(_LOSS)
    _runtime().pay_ins.tell_lost(asked["name"], asked["born_on"], asked["postcode"])
    return {"taken": True}


@blueprint.get("/taps/<handle>/holder")
def holder(handle: str) -> dict[str, object]:
    """Who holds the card of a tap."""
    return _holder_json(_runtime().holder(handle))


@blueprint.get("/catalogues/<service>")
def catalogue(service: str) -> dict[str, object]:
    """What can be sold of a service now."""
    return _on_sale_json(_runtime().on_sale(service))


@blueprint.post("/refunds")
def refund() -> dict[str, object]:
    """Give back a sale of this terminal, or a line of it."""
    asked = _parse(_REFUND)
    given = _runtime().refund(asked["key"], asked["transaction"], asked["line"])
    return {"amount_minor": given.amount_minor, "currency": given.currency}


@blueprint.get("/totals/<service>")
def totals(service: str) -> dict[str, object]:
    """What this terminal has sold of a service since a moment."""
    asked = _parse_arguments(_TOTALS)
    found = _runtime().totals(service, asked["since"], asked["by"])
    groups = {name: each.to_json() for name, each in found.items()}
    return {"service": service, "since": to_rfc3339(asked["since"]), "by": asked["by"], "groups": groups}


@blueprint.get("/outbox")
def outbox() -> dict[str, object]:
    """Counts and ages."""
    runtime = _runtime()
    return _outbox_json(runtime.outbox(), runtime)


@blueprint.post("/outbox/sync")
def sync() -> dict[str, object]:
    """Tell the service what waits, now."""
    _parse(_NOTHING)
    return _report_json(_runtime().sync())


def _runtime() -> Runtime:
    found: Runtime = current_app.extensions[EXTENSION]
    return found


def _parse(schema: Schema) -> dict[str, Any]:
    return _loaded(schema, request.get_json())


def _parse_arguments(schema: Schema) -> dict[str, Any]:
    return _loaded(schema, request.args.to_dict())


def _loaded(schema: Schema, value: Any) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(value)
    except ValidationError as error:
        raise Malformed(error.messages) from error
    return loaded


def _order(asked: dict[str, Any]) -> TapOrder:
    return TapOrder(
        asked["service"],
        asked["action"],
        asked["details"],
        allow_offline=asked.get("allow_offline", True),
        amount_minor=asked.get("amount_minor"),
    )


def _price_json(price: Price) -> dict[str, object]:
    return {
        "amount_minor": price.amount_minor,
        "currency": price.currency,
        "tariff_version": price.tariff_version,
        "valid_until": to_rfc3339(price.valid_until),
    }


def _quoted_json(quoted: Quoted) -> dict[str, object]:
    return {
        **_price_json(quoted.price),
        "lines": [asdict(line) for line in quoted.lines],
        "offline": quoted.is_offline,
        "offline_price": None if quoted.offline is None else _price_json(quoted.offline),
    }


def _paid_json(paid: Paid) -> dict[str, object]:
    result = paid.result
    return {
        "decision": result.outcome,
        "reason": result.reason,
        "message": result.message,
        "transaction": None if result.id is None else str(result.id),
        "offline": result.offline,
        "amount_minor": result.amount_minor,
        "currency": result.currency,
        "receipt": [asdict(line) for line in result.receipt],
        "balances": [asdict(balance) for balance in result.balances],
        "flags": list(result.flags),
        "repeated": paid.is_repeated,
    }


def _pay_in_json(paid: PayIn) -> dict[str, object]:
    return {
        "payment": str(paid.payment),
        "state": paid.state,
        "finished": paid.is_finished,
        "amount_minor": paid.amount_minor,
        "currency": paid.currency,
        "next_url": paid.next_url,
        "available_minor": paid.available_minor,
        "owed_minor": paid.owed_minor,
    }


def _holder_json(holder: Holder) -> dict[str, object]:
    said = holder.presentation
    return {
        "name": said.name,
        "form": said.form,
        "allergens": list(said.allergens),
        "photo": None if said.photo is None else to_base64url(said.photo),
        "as_of": to_rfc3339(holder.as_of),
        "offline": holder.is_offline,
    }


def _on_sale_json(on_sale: OnSale) -> dict[str, object]:
    said, period = on_sale.stored.catalogue, on_sale.period
    return {
        "service": said.service,
        "action": said.action,
        "currency": said.currency,
        "tariff_version": said.tariff_version,
        "as_of": to_rfc3339(on_sale.stored.as_of),
        "offline": on_sale.is_offline,
        "may_serve_offline": said.offline_limit_minor is not None,
        "from": to_rfc3339(period.start),
        "until": to_rfc3339(period.end),
        "sections": sections_json(period.sections),
    }


def _outbox_json(summary: OutboxSummary, runtime: Runtime) -> dict[str, object]:
    oldest = summary.oldest_waiting
    return {
        "waiting": summary.waiting,
        "refused": summary.refused,
        "oldest_waiting_s": None if oldest is None else max(0, int((runtime.now() - oldest).total_seconds())),
        "entries": [{"kind": kind, "state": state, "count": count} for kind, state, count in summary.counts],
    }


def _report_json(report: SyncReport) -> dict[str, object]:
    how = [item.delivery for item in report.delivered]
    return {
        "told": sum(delivery is not Delivery.FAILED for delivery in how),
        "refused": sum(delivery is Delivery.REFUSED for delivery in how),
        "failed": sum(delivery is Delivery.FAILED for delivery in how),
        "closed": report.closed,
        "waiting": report.waiting,
    }
