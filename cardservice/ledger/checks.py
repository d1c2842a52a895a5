"""What every posting leaves true, as queries for what is not: the rows of each are what is wrong."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Select, and_, case, exists, func, literal, or_, select, union_all

from cardservice.ledger.event_checks import EVENT_CHECKS
from cardservice.ledger.models import (
    account,
    ledger_transaction,
    transaction_details,
    transaction_proof,
    transfer,
)


def _sides() -> Any:
    """Each transfer twice: what one account gains and the other loses."""
    sides = [
        select(
            transfer.c.payer_id,
            transfer.c.transaction_id,
            transfer.c[side].label("account"),
            transfer.c.unit,
            (transfer.c.amount_minor * sign).label("gain"),
        )
        for side, sign in (("credit", 1), ("debit", -1))
    ]
    return union_all(*sides).subquery()


def _account_name() -> Any:
    own = account.c
    suffix = literal("/") + own.card_id + "/" + own.application
    return literal("payer:") + own.kind + case((own.card_id == "", ""), else_=suffix)


def _balances() -> Select[Any]:
    """Every account holds what its transfers add up to."""
    sides = _sides()
    total = func.coalesce(func.sum(sides.c.gain), 0)
    joined = account.outerjoin(
        sides,
        and_(
            sides.c.payer_id == account.c.payer_id,
            sides.c.account == _account_name(),
            sides.c.unit == account.c.unit,
        ),
    )
    own = account.c
    return (
        select(
            own.payer_id,
            literal(None).label("transaction_id"),
            (_account_name() + " is not the sum of its transfers").label("detail"),
        )
        .select_from(joined)
        .group_by(own.payer_id, own.kind, own.card_id, own.application, own.unit, own.balance)
        .having(total != own.balance)
    )


def _accounts_missing() -> Select[Any]:
    """What a transfer names as its payer's is an account of that payer, in that unit."""
    sides = _sides()
    found = exists().where(
        account.c.payer_id == sides.c.payer_id,
        _account_name() == sides.c.account,
        account.c.unit == sides.c.unit,
    )
    return select(sides.c.payer_id, sides.c.transaction_id, sides.c.account.label("detail")).where(
        sides.c.account.like("payer:%"), ~found
    )


def _floors() -> Select[Any]:
    """No account is below its floor, and arrears are owed."""
    own = account.c
    return select(own.payer_id, literal(None).label("transaction_id"), _account_name().label("detail")).where(
        or_(own.balance < own.floor, and_(own.kind == "arrears", own.balance > 0))
    )


def _undecided_money() -> Select[Any]:
    """Only what was approved moves money."""
    stored = ledger_transaction.c
    joined = transfer.join(
        ledger_transaction,
        and_(stored.payer_id == transfer.c.payer_id, stored.id == transfer.c.transaction_id),
    )
    return (
        select(stored.payer_id, stored.id.label("transaction_id"), stored.decision.label("detail"))
        .select_from(joined)
        .where(stored.decision != "approved")
    )


def _amounts() -> Select[Any]:
    """Every amount is positive, of two accounts, and the sum of its net and its tax."""
    moved = transfer.c
    return select(moved.payer_id, moved.transaction_id, moved.amount_minor.label("detail")).where(
        or_(
            moved.amount_minor <= 0,
            moved.debit == moved.credit,
            moved.net_minor + moved.tax_minor != moved.amount_minor,
        )
    )


def _reversed_too_much() -> Select[Any]:
    """Nothing is reversed beyond its amount, and no reversal is reversed."""
    reversal = transfer.alias()
    total = func.sum(reversal.c.amount_minor)
    moved = transfer.c
    joined = transfer.join(
        reversal,
        and_(
            reversal.c.payer_id == moved.payer_id,
            reversal.c.reverses_transaction == moved.transaction_id,
            reversal.c.reverses_line == moved.line,
        ),
    )
    return (
        select(moved.payer_id, moved.transaction_id, total.label("detail"))
        .select_from(joined)
        .group_by(
            moved.payer_id,
            moved.transaction_id,
            moved.line,
            moved.amount_minor,
            moved.reverses_transaction,
        )
        .having(or_(total > moved.amount_minor, moved.reverses_transaction.is_not(None)))
    )


def _proofs_missing() -> Select[Any]:
    """What a card made carries its proof, and nothing else does."""
    stored, proof = ledger_transaction.c, transaction_proof.c
    found = exists().where(proof.payer_id == stored.payer_id, proof.transaction_id == stored.id)
    return select(stored.payer_id, stored.id.label("transaction_id"), stored.origin.label("detail")).where(
        or_(and_(stored.origin == "card", ~found), and_(stored.origin != "card", found))
    )


def _orphans() -> Select[Any]:
    """Transfers, proofs and details belong to a transaction."""
    stored = ledger_transaction.c
    orphans = []
    for table in (transfer, transaction_proof, transaction_details):
        found = exists().where(stored.payer_id == table.c.payer_id, stored.id == table.c.transaction_id)
        orphans.append(
            select(table.c.payer_id, table.c.transaction_id, literal(table.name).label("detail")).where(
                ~found
            )
        )
    every = union_all(*orphans).subquery()
    return select(every)


def _named_missing() -> Select[Any]:
    """The transaction that a duplicate or an annul names is there, under whichever payer.

    Nearly always under its own, by the key: only the others are looked for everywhere.
    """
    stored, other, elsewhere = ledger_transaction.c, ledger_transaction.alias(), ledger_transaction.alias()
    named = func.coalesce(stored.duplicate_of, stored.annuls)
    own = exists().where(other.c.payer_id == stored.payer_id, other.c.id == named)
    foreign = select(named).where(named.is_not(None), ~own)
    found = select(elsewhere.c.id).where(elsewhere.c.id.in_(foreign))
    return select(stored.payer_id, stored.id.label("transaction_id"), stored.kind.label("detail")).where(
        named.is_not(None), ~own, named.not_in(found)
    )


CHECKS: dict[str, Callable[[], Select[Any]]] = {
    "balance_wrong": _balances,
    "account_missing": _accounts_missing,
    "below_floor": _floors,
    "money_moved_without_approval": _undecided_money,
    "amount_wrong": _amounts,
    "reversed_too_much": _reversed_too_much,
    "proof_missing": _proofs_missing,
    "orphan": _orphans,
    **EVENT_CHECKS,
    "named_transaction_missing": _named_missing,
}
