"""Prices before anything is signed, with what the terminal may charge for the same while it cannot ask."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from marshmallow import ValidationError

from cardservice.authorisation.judging import SERVICE_OFF
from cardservice.authorisation.reasons import Reason
from cardservice.cards.service import find_card
from cardservice.context import Context
from cardservice.errors import CardNotInScheme, QuoteRefused, RoleNotAllowed, ServiceOfAnother
from cardservice.ledger.limits import is_switched_off
from cardservice.services.seam import Ask, AskKind, Holder, Quote, Refusal, Service
from cardservice.tariffs.service import superseded_at, tariff_in_force
from cardservice.terminals.roles import may_ask
from cardservice.terminals.service import Terminal


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a terminal wants the price of; without a card, for anybody."""

    service: str
    action: str
    card: UUID | None
    details: Mapping[str, object]


def quote(context: Context, terminal: Terminal, wanted: Wanted) -> dict[str, Any]:
    """The price as JSON. Raises RoleNotAllowed, ServiceOfAnother, CardNotInScheme and QuoteRefused."""
    service = context.services.get(wanted.service)
    if service is None or not may_ask(terminal.role, service, wanted.action):
        raise RoleNotAllowed(terminal.id, terminal.role, f"{wanted.service} {wanted.action}")
    if not terminal.may_sell(wanted.service, context.now()):
        raise ServiceOfAnother(terminal.id, terminal.provider_id, wanted.service)
    holder, tariff, until = _holder_and_tariff(context, wanted)
    ask = _ask(context, service, wanted)
    price = service.quote(ask, holder, tariff)
    if isinstance(price, Refusal):
        raise QuoteRefused(price.reason, price.message, dict(price.data))
    return {
        **_price(price, until),
        "lines": [{"label": line.label, "amount_minor": line.amount_minor} for line in price.lines],
        "offline": _offline(terminal, service, ask, tariff, until),
    }


def _ask(context: Context, service: Service, wanted: Wanted) -> Ask:
    try:
        details = service.details_schema(wanted.action)().load(wanted.details)
    except ValidationError as error:
        raise QuoteRefused(
            "details_malformed", "The details are not of this action.", error.messages_dict
        ) from error
    return Ask(
        service=wanted.service,
        action=wanted.action,
        kind=AskKind.REQUEST,
        currency=context.scheme.currency,
        details=details,
        occurred_at=context.now(),
    )


def _holder_and_tariff(context: Context, wanted: Wanted) -> tuple[Holder | None, object, datetime | None]:
    """Who it is for, the tariff in force, and when one that is loaded already takes its place."""
    with context.database.reading() as connection:
        version = tariff_in_force(connection, wanted.service, context.now())
        until = None if version is None else superseded_at(connection, version)
        card = None if wanted.card is None else find_card(connection, wanted.card)
        if card is not None and is_switched_off(
            connection, card.cardholder_id, wanted.service, context.now()
        ):
            raise QuoteRefused(Reason.SERVICE_OFF, SERVICE_OFF)
    if wanted.card is not None and card is None:
        raise CardNotInScheme("the card is not of this scheme")
    if version is None:
        raise QuoteRefused("tariff_missing", "There is no tariff for this.")
    holder = None
    if card is not None:
        holder = Holder(cardholder_id=card.cardholder_id, card_kind=card.kind, category=card.category)
    return holder, context.tariffs.get(version), until


def _offline(
    terminal: Terminal, service: Service, ask: Ask, tariff: object, until: datetime | None
) -> dict[str, Any] | None:
    """The price for whoever comes, where the terminal may serve that much offline."""
    limit_minor = terminal.offline_limit_minor
    price = service.quote(replace(ask, offline=True), None, tariff)
    if limit_minor is None or isinstance(price, Refusal) or price.amount_minor > limit_minor:
        return None
    return _price(price, until)


def _price(price: Quote, until: datetime | None) -> dict[str, Any]:
    """Rules know their own tariff alone: no price holds when another has taken its place."""
    names = ("amount_minor", "currency", "tariff_version")
    values = {name: value for name, value in asdict(price).items() if name in names}
    return {**values, "valid_until": price.valid_until if until is None else min(price.valid_until, until)}
