"""What is owed for lateness: charged once, paid once, and never more paid than owed.

What a person owes is a resource of the service's, in minor units: there is as much of it as was charged, and
taken is what was paid. So a payment by card, which the ledger posts, and one in cash cannot pay one penny
twice.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cardservice.audit.service import record
from cardservice.circulation.errors import LendingRefused
from cardservice.circulation.models import fine, payment
from cardservice.ids import CardholderId, new_id
from cardservice.ledger.event_models import resource
from cardservice.ledger.resources import Claim, read_resource, take
from cardservice.services.lending import Late, Lending

METHODS = ("cash", "card", "other", "waived")


def owed_minor(connection: Connection, service: Lending, holder: CardholderId) -> int:
    """What a member still owes."""
    found = read_resource(connection, service.name, service.fines_key(holder))
    return 0 if found is None else found.capacity - found.taken


def charge(
    connection: Connection, service: Lending, holder: CardholderId, late: Late, moment: datetime
) -> None:
    """Charge a fine, if it is one."""
    if late.fine_minor == 0:
        return
    connection.execute(
        insert(fine).values(
            id=new_id(),
            cardholder_id=holder,
            amount_minor=late.fine_minor,
            days_late=late.days,
            charged_at=moment,
        )
    )
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    own, key = resource.c, service.fines_key(holder)
    new = dialect.insert(resource).values(service=service.name, key=key, capacity=0)
    connection.execute(new.on_conflict_do_nothing())
    connection.execute(
        update(resource)
        .where(own.service == service.name, own.key == key)
        .values(capacity=own.capacity + late.fine_minor, version=own.version + 1)
    )


def pay(
    connection: Connection,
    service: Lending,
    holder: CardholderId,
    amount_minor: int,
    *,
    method: str,
    by: str,
    reference: str | None,
    moment: datetime,
) -> bool:
    """Note a payment; False where it was noted before. Raises LendingRefused: not so much is owed.

    The caller holds the member.
    """
    if method not in METHODS:
        raise LendingRefused("method_unknown", f"{method[:40]!r} is no way to pay: {', '.join(METHODS)}")
    if amount_minor <= 0:
        raise LendingRefused("amount_unfit", "A payment is of more than nothing.")
    if reference is not None and (known := _known(connection, by, reference)) is not None:
        if (known.cardholder_id, known.amount_minor) != (holder, amount_minor):
            raise LendingRefused("reference_taken", "Another payment has this reference.")
        return False
    if not take(connection, Claim(service.name, service.fines_key(holder), amount_minor)):
        raise LendingRefused("more_than_owed", "Not so much is owed.")
    connection.execute(
        insert(payment).values(
            id=new_id(),
            cardholder_id=holder,
            amount_minor=amount_minor,
            method=method,
            taken_by=by,
            reference=reference,
            paid_at=moment,
        )
    )
    record(connection, by, "lending.pay", holder, moment, method=method)
    return True


def fines_of(connection: Connection, holder: CardholderId) -> tuple[int, ...]:
    """What a member was charged, each in minor units, the latest first."""
    wanted = select(fine.c.amount_minor).where(fine.c.cardholder_id == holder)
    return tuple(connection.execute(wanted.order_by(fine.c.charged_at.desc(), fine.c.id.desc())).scalars())


def takings(connection: Connection, since: datetime, until: datetime) -> Sequence[Row[*tuple[object, ...]]]:
    """What was taken by whom and how, between two moments: for the till."""
    wanted = select(payment.c.taken_by, payment.c.method, payment.c.amount_minor)
    return connection.execute(wanted.where(payment.c.paid_at >= since, payment.c.paid_at < until)).all()


def _known(connection: Connection, by: str, reference: str) -> Row[*tuple[object, ...]] | None:
    wanted = select(payment).where(payment.c.taken_by == by, payment.c.reference == reference)
    return connection.execute(wanted).one_or_none()
