"""Queues: who waits for a title, in the order in which they came, and which copy is kept for whom.

A free copy is kept for the first who waits at once, so that whoever waits without one waits for a copy that
is out. Everything here is done under the title's lock.
"""

from datetime import date

from sqlalchemy import Connection, delete, func, insert, select, update

from cardservice.circulation.models import copy, hold, loan, title
from cardservice.circulation.terms import TermsInForce, lending_service, terms_at
from cardservice.context import Context
from cardservice.ids import CardholderId


def assign_next(context: Context, connection: Connection, title_id: str) -> str | None:
    """Keep a free copy for the first who waits; which one. None where nobody waits, or no copy is free."""
    first = connection.execute(
        select(hold.c.number)
        .where(hold.c.title_id == title_id, hold.c.copy.is_(None))
        .order_by(hold.c.number)
        .limit(1)
    ).scalar()
    free = connection.execute(
        select(copy.c.barcode)
        .where(copy.c.title_id == title_id, ~copy.c.withdrawn)
        .where(copy.c.barcode.not_in(select(loan.c.copy)))
        .where(copy.c.barcode.not_in(select(hold.c.copy).where(hold.c.copy.is_not(None))))
        .order_by(copy.c.barcode)
        .limit(1)
    ).scalar()
    if first is None or free is None:
        return None
    moment = context.now()
    until = lending_service(context.services).kept_until(moment, terms_at(context, connection, moment).tariff)
    connection.execute(update(hold).where(hold.c.number == first).values(copy=free, kept_until=until))
    return str(free)


def place(
    context: Context, connection: Connection, title_id: str, holder: CardholderId, branch: str
) -> str | None:
    """Put somebody at the end of a queue; the copy that is kept for them now, if there is one."""
    connection.execute(
        insert(hold).values(title_id=title_id, cardholder_id=holder, placed_at=context.now(), branch=branch)
    )
    return assign_next(context, connection, title_id)


def leave(context: Context, connection: Connection, title_id: str, holder: CardholderId) -> bool:
    """Take somebody out of a queue, if they are in it; what was kept for them is kept for the next."""
    mine = hold.c.title_id == title_id, hold.c.cardholder_id == holder
    if connection.execute(delete(hold).where(*mine)).rowcount == 0:
        return False
    assign_next(context, connection, title_id)
    return True


def expire(context: Context, connection: Connection, title_id: str, today: date) -> int:
    """Take those out of a queue who have not fetched what was kept for them; how many they were."""
    over = hold.c.title_id == title_id, hold.c.kept_until < today
    gone = connection.execute(delete(hold).where(*over)).rowcount
    for _ in range(gone):
        assign_next(context, connection, title_id)
    return gone


def expire_if_due(
    context: Context, connection: Connection, title_id: str, kept_until: date | None, terms: TermsInForce
) -> int:
    """`expire` where the first day on which a copy is kept in vain has passed; mostly it has not."""
    if kept_until is None:
        return 0
    today = lending_service(context.services).local_day(context.now(), terms.tariff)
    return expire(context, connection, title_id, today) if kept_until < today else 0


def set_free(connection: Connection, barcode: str) -> None:
    """A copy that was kept for somebody has gone another way: they wait on, in their old place."""
    values = {"copy": None, "kept_until": None}
    connection.execute(update(hold).where(hold.c.copy == barcode).values(values))


def waiting_for(connection: Connection, title_id: str, holder: CardholderId | None = None) -> int:
    """How many wait for a title for which no copy is kept; others than the holder, if one is said."""
    wanted = select(func.count()).select_from(hold)
    wanted = wanted.where(hold.c.title_id == title_id, hold.c.copy.is_(None))
    if holder is not None:
        wanted = wanted.where(hold.c.cardholder_id != holder)
    return connection.execute(wanted).scalar_one()


def expire_all(context: Context) -> int:
    """`expire` for every title, each in a transaction of its own; how many there were.

    What has become free otherwise, by somebody's erasure, is kept for who waits.
    """
    moment, gone = context.now(), 0
    service = lending_service(context.services)
    with context.database.reading() as connection:
        today = service.local_day(moment, terms_at(context, connection, moment).tariff)
        looked_at = (hold.c.kept_until < today) | hold.c.copy.is_(None)
        over = select(hold.c.title_id).where(looked_at).distinct()
        titles = connection.execute(over.order_by(hold.c.title_id)).scalars().all()
    for title_id in titles:
        with context.database.begin() as connection:
            connection.execute(select(title.c.id).where(title.c.id == title_id).with_for_update())
            gone += expire(context, connection, title_id, today)
            while assign_next(context, connection, title_id):
                pass
    return gone
