"""What `verify` looks for beyond sales: who may owe, points, tax that was given back, days as rated."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Select, Text, and_, case, cast, func, or_, select

from cardservice.ledger.event_models import rating
from cardservice.ledger.models import ledger_transaction, transfer
from cardservice.ledger.values import INTO_ARREARS, PAYER_ARREARS


def _arrears_undue() -> Select[Any]:
    """Nothing ends in arrears but what may: see the trigger `transfer_into_arrears`."""
    stored = ledger_transaction.c
    flagged = cast(stored.flags, Text).like(f'%"{INTO_ARREARS}"%')
    may = or_(
        stored.kind.in_(("advice", "rating", "chargeback")),
        and_(stored.kind == "request", or_(stored.origin == "staff", flagged)),
    )
    joined = transfer.join(
        ledger_transaction,
        and_(stored.payer_id == transfer.c.payer_id, stored.id == transfer.c.transaction_id),
    )
    return (
        select(stored.payer_id, stored.id.label("transaction_id"), stored.kind.label("detail"))
        .select_from(joined)
        .where(transfer.c.debit == PAYER_ARREARS, ~may)
    )


def _points_as_money() -> Select[Any]:
    """Points are in accounts of points alone, and money is in none of them."""
    moved = transfer.c
    mixed = [
        and_(side.like("payer:%"), (side == "payer:points") != (moved.unit == "points"))
        for side in (moved.debit, moved.credit)
    ]
    return select(moved.payer_id, moved.transaction_id, moved.unit.label("detail")).where(or_(*mixed))


def _reversed_tax() -> Select[Any]:
    """Of tax and net no more is given back than there was, and at the rate that it was sold with."""
    back, moved = transfer.alias(), transfer.c
    joined = transfer.join(
        back,
        and_(
            back.c.payer_id == moved.payer_id,
            back.c.reverses_transaction == moved.transaction_id,
            back.c.reverses_line == moved.line,
        ),
    )
    other_rate = func.sum(
        case((func.coalesce(back.c.tax_rate_bp, -1) != func.coalesce(moved.tax_rate_bp, -1), 1), else_=0)
    )
    tax, net = func.sum(back.c.tax_minor), func.sum(back.c.net_minor)
    return (
        select(moved.payer_id, moved.transaction_id, moved.line.label("detail"))
        .select_from(joined)
        .group_by(moved.payer_id, moved.transaction_id, moved.line, moved.net_minor, moved.tax_minor)
        .having(or_(tax > moved.tax_minor, net > moved.net_minor, other_rate > 0))
    )


def _ratings_wrong() -> Select[Any]:
    """What the ratings of a day have moved in all is what its newest revision says that it should be."""
    own, moved = rating.c, transfer.c
    subject = (own.payer_id, own.key_id, own.service, own.travel_day)
    newest = select(*subject, func.max(own.revision).label("revision")).group_by(*subject).subquery("newest")
    charged = func.coalesce(
        func.sum(case((moved.reverses_transaction.is_(None), 1), else_=-1) * moved.amount_minor), 0
    )
    joined = rating.outerjoin(
        transfer, and_(moved.payer_id == own.payer_id, moved.transaction_id == own.transaction_id)
    )
    sums = select(*subject, charged.label("charged")).select_from(joined).group_by(*subject).subquery("sums")
    same = [
        and_(
            one.c.payer_id == own.payer_id,
            one.c.key_id == own.key_id,
            one.c.service == own.service,
            one.c.travel_day == own.travel_day,
        )
        for one in (newest, sums)
    ]
    return (
        select(own.payer_id, own.transaction_id, sums.c.charged.label("detail"))
        .select_from(
            rating.join(newest, and_(same[0], newest.c.revision == own.revision)).join(sums, same[1])
        )
        .where(sums.c.charged != own.should_be_minor)
    )


EVENT_CHECKS: dict[str, Callable[[], Select[Any]]] = {
    "arrears_undue": _arrears_undue,
    "points_as_money": _points_as_money,
    "tax_reversed_wrong": _reversed_tax,
    "rating_wrong": _ratings_wrong,
}
