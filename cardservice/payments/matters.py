"""What needs a person: opened once for each thing, listed until somebody closes it with a reason."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cardservice.audit.service import record
from cardservice.errors import OrderInvalid
from cardservice.payments.models import payment_matter

# What each kind asks for, as the list says it; docs/payments.md says how.
KINDS = {
    "captured_late": "captured after it had been given up: tell the payer, or give it back",
    "amount_differs": "the provider tells of another amount; nothing was posted",
    "payment_twice": "the provider has a second payment of the same attempt: give it back there",
    "payment_unknown": "the provider has a payment that a restore has lost: say for whom it was",
    "refund_failed": "the provider could not give it back; it was paid in again: pay it by bank transfer",
    "refund_pending": "asked for an hour ago and still not known to the provider",
    "refund_unknown": "the provider has given back what was not asked for here: post it, or get it back",
    "dispute_open": "answer the dispute at the provider while there is time",
    "dispute_unknown": "a dispute about a payment that is not ours",
    "dispute_changed": "the provider tells of another outcome than before",
    "charged_back": "charged back: what had been spent of it is owed",
    "charged_back_beyond": "charged back beyond what was left of the payment: the scheme bears the rest",
    "settlement_unknown": "a settled line of nothing that was posted",
    "settlement_differs": "a settled line of another amount or unit than was posted",
    "settlement_repeated": "a line that had been settled before",
    "payout_wanted": "a bank transfer that a second person must approve",
    "payout_due": "an approved bank transfer that is to be made",
}


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that needs a person; `subject` names it as its kind does."""

    number: int
    kind: str
    subject: str
    opened_at: datetime


def open_matter(connection: Connection, kind: str, subject: object, moment: datetime) -> None:
    """Put it on the list, once: what was closed stays closed."""
    into = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = into(payment_matter).values(kind=kind, subject=str(subject), opened_at=moment)
    connection.execute(statement.on_conflict_do_nothing())


def close_done(connection: Connection, kind: str, subject: object, because: str, moment: datetime) -> None:
    """Take it off the list, if it is there: it has been done without anybody's saying so."""
    own = payment_matter.c
    connection.execute(
        update(payment_matter)
        .where(own.kind == kind, own.subject == str(subject), own.closed_at.is_(None))
        .values(closed_at=moment, closed_by="cardservice", closed_because=because)
    )


def is_open(connection: Connection, kind: str, subject: object) -> bool:
    """Whether it is on the list."""
    own = payment_matter.c
    wanted = exists().where(own.kind == kind, own.subject == str(subject), own.closed_at.is_(None))
    return bool(connection.scalar(select(wanted)))


def matters(connection: Connection, limit: int = 1000, *, after: int = 0) -> list[Matter]:
    """What is open, the oldest first; those after a number."""
    own = payment_matter.c
    found = select(own.number, own.kind, own.subject, own.opened_at).where(own.closed_at.is_(None))
    found = found.where(own.number > after)
    return [Matter(*row) for row in connection.execute(found.order_by(own.number).limit(limit))]


def close_matter(connection: Connection, number: int, because: str, moment: datetime, *, actor: str) -> None:
    """Take it off the list. Raises OrderInvalid where it is not on it, or no reason is given."""
    if not because.strip():
        raise OrderInvalid("say why it is done, in a few words")
    own = payment_matter.c
    changed = connection.execute(
        update(payment_matter)
        .where(own.number == number, own.closed_at.is_(None))
        .values(closed_at=moment, closed_by=actor, closed_because=because)
    )
    if changed.rowcount != 1:
        raise OrderInvalid(f"no open matter {number}; `cardservice payment exceptions` lists them")
    record(connection, actor, "payment.matter_closed", number, moment)
