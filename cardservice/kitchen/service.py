"""Orders to cook, the totals of a day, and who ate something: from counters and from the details of sales."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, and_, func, select

from cardservice.audit.service import record
from cardservice.cardholders.accesses import note_reads
from cardservice.cardholders.service import names_of
from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId
from cardservice.kitchen.errors import RecallNotAllowed
from cardservice.ledger.models import (
    cardholder_key,
    counter,
    ledger_transaction,
    transaction_details,
    transaction_proof,
    transfer,
)
from cardservice.services.kitchens import Dish, Kitchened, Portions

# A day by any clock lies within these hours of the same day in UTC.
_AROUND = timedelta(hours=14)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Ordered:
    """How many of a dish were ordered, and how many of them have been collected."""

    dish: Dish
    ordered: int
    collected: int


@dataclass(slots=True)
class Totals:
    """What a service came to on a day, without names."""

    sales: int = 0
    amount_minor: int = 0
    given_back_minor: int = 0
    offline: int = 0
    served_anyway: int = 0
    declined: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "sales": self.sales,
            "amount_minor": self.amount_minor,
            "given_back_minor": self.given_back_minor,
            "offline": self.offline,
            "served_anyway": self.served_anyway,
            "declined": dict(sorted(self.declined.items())),
            "items": dict(sorted(self.items.items())),
        }


@dataclass(frozen=True, slots=True)
class Eater:
    """Somebody who bought a dish that is recalled."""

    cardholder: UUID
    name: str
    form: str
    portions: Portions


def kitchen(context: Context, name: str) -> Kitchened:
    """The service of this name, which cooks. Raises OrderInvalid."""
    service = context.services.get(name)
    if service is None or not isinstance(service, Kitchened):
        raise OrderInvalid(f"{name!r} has no kitchen")
    return service


def orders_of(connection: Connection, service: Kitchened, day: date) -> tuple[Ordered, ...]:
    """What was ordered for a day, dish by dish."""
    own = counter.c
    rules = (service.ordered_rule, service.collected_rule)
    rows = connection.execute(
        select(own.rule, own.period, func.sum(own.used))
        .where(own.rule.in_(rules), own.period.like(f"{service.periods_of(day)}%"))
        .group_by(own.rule, own.period)
    )
    sums: defaultdict[Dish, dict[str, int]] = defaultdict(dict)
    for rule, period, used in rows:
        sums[service.dish_of(period)][rule] = int(used)
    found = (Ordered(dish, by.get(rules[0], 0), by.get(rules[1], 0)) for dish, by in sorted(sums.items()))
    return tuple(each for each in found if each.ordered)


def totals_of(connection: Connection, name: str, service: Kitchened, day: date) -> dict[str, Totals]:
    """The day's totals, by what of the day it was, such as lunch."""
    found: defaultdict[str, Totals] = defaultdict(Totals)
    for sale in _sales(connection, name, service, day):
        totals = found[sale.service]
        if sale.decision != "approved":
            totals.declined[sale.reason] += 1
            continue
        totals.sales += 1
        totals.amount_minor += sale.amount_minor
        totals.given_back_minor += sale.given_back_minor
        totals.offline += sale.offline
        totals.served_anyway += "served_anyway" in sale.flags
        for portions in sale.portions:
            totals.items[portions.dish.item] += portions.quantity
    return dict(sorted(found.items()))


def eaters_of(
    context: Context, name: str, item: str, first: date, last: date, *, recipe: str | None, actor: str
) -> tuple[Eater, ...]:
    """Who bought an item from `first` to `last`. That it was asked is noted first, and for good.

    Raises RecallNotAllowed, which is noted, too, and OrderInvalid.
    """
    service = kitchen(context, name)
    if not timedelta(0) <= last - first <= 100 * _DAY:
        raise OrderInvalid("name days in their order, at most 100 of them")
    _require_right(context, actor, item, first=first.isoformat(), last=last.isoformat())
    found = []
    with context.database.reading() as connection:
        for number in range((last - first).days + 1):
            for sale in _sales(connection, name, service, first + number * _DAY):
                for portions in sale.portions:
                    same = recipe is None or portions.recipe == recipe
                    if sale.decision == "approved" and portions.dish.item == item and same:
                        found.append((sale.cardholder, portions))
        eaters = tuple(_eaters(context, connection, found))
    with context.database.begin() as connection:
        people = {CardholderId(each.cardholder) for each in eaters}
        note_reads(connection, people, "kitchen.recall", actor=actor, moment=context.now())
    return eaters


def _require_right(context: Context, actor: str, item: str, **detail: str) -> None:
    """Note that somebody wants to know, and whether they may. Raises RecallNotAllowed."""
    allowed = actor in context.settings.recall_names
    with context.database.begin() as connection:
        noted = "kitchen.recall" if allowed else "kitchen.recall.refused"
        record(connection, actor, noted, item, context.now(), **detail)
    if not allowed:
        raise RecallNotAllowed(actor)


@dataclass(frozen=True, slots=True)
class _Sale:
    cardholder: UUID | None
    service: str
    decision: str
    reason: str
    amount_minor: int
    given_back_minor: int
    offline: bool
    flags: tuple[str, ...]
    portions: tuple[Portions, ...]


def _sales(connection: Connection, name: str, service: Kitchened, day: date) -> Iterator[_Sale]:
    """The sales of a day by the school's clock that have not been annulled."""
    begins = datetime.combine(day, time.min, UTC)
    own, kept, proof = ledger_transaction.c, transaction_details.c, transaction_proof.c
    annulling, back = ledger_transaction.alias("annulling"), transfer.alias("back")
    given_back = (
        select(func.coalesce(func.sum(back.c.amount_minor), 0))
        .where(back.c.payer_id == own.payer_id, back.c.reverses_transaction == own.id)
        .scalar_subquery()
    )
    annulled = (
        select(annulling.c.id)
        .where(annulling.c.payer_id == own.payer_id, annulling.c.annuls == own.id)
        .where(annulling.c.reason == "annulled")
        .exists()
    )
    joined = (
        ledger_transaction.join(
            transaction_details, and_(kept.payer_id == own.payer_id, kept.transaction_id == own.id)
        )
        .outerjoin(transaction_proof, and_(proof.payer_id == own.payer_id, proof.transaction_id == own.id))
        .outerjoin(cardholder_key, cardholder_key.c.id == proof.key_id)
    )
    rows = connection.execute(
        select(
            own.decision,
            own.reason,
            own.amount_minor,
            own.offline,
            own.flags,
            kept.details,
            kept.answer,
            cardholder_key.c.cardholder_id,
            given_back.label("given_back"),
        )
        .select_from(joined)
        .where(own.service == name, own.action.in_(sorted(service.sale_actions)))
        .where(own.kind.in_(("request", "advice")), own.decision.in_(("approved", "declined")), ~annulled)
        .where(own.occurred_at >= begins - _AROUND, own.occurred_at < begins + _DAY + _AROUND)
        .order_by(own.occurred_at, own.id)
    )
    for row in rows:
        inputs: Mapping[str, Any] = (row.answer or {}).get("inputs", {})
        if inputs.get("day") != day.isoformat() or row.details is None:
            continue
        yield _Sale(
            cardholder=row.cardholder_id,
            service=str(row.details.get("service", "")),
            decision=row.decision,
            reason=row.reason,
            amount_minor=row.amount_minor or 0,
            given_back_minor=int(row.given_back),
            offline=bool(row.offline),
            flags=tuple(row.flags or ()),
            portions=tuple(service.portions_of(row.details, inputs)),
        )


def _eaters(
    context: Context, connection: Connection, found: list[tuple[UUID | None, Portions]]
) -> Iterator[Eater]:
    wanted = {CardholderId(holder) for holder, _ in found if holder is not None}
    people = names_of(connection, context.keys.cardholder_kek, wanted)
    for holder, portions in found:
        # Whoever has been erased since is nobody's name.
        if holder is not None and (known := people.get(CardholderId(holder))) is not None:
            yield Eater(holder, *known, portions)
