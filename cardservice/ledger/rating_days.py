"""A day's ratings in the database: read, decided and posted under the payer's lock."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from cardservice.database import Database
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.errors import PostingRefused
from cardservice.ledger.event_models import rating
from cardservice.ledger.posting import locked, post_on
from cardservice.ledger.ratings import Rated, Rating, Subject, posting_of
from cardservice.ledger.reading import read_known, read_payers
from cardservice.ledger.values import Outcome, PayerView


def rate(database: Database, new: Rating, moment: datetime) -> TransactionId | None:
    """Post what a day's new rating changes; None where it says nothing new, as when it is given again.

    Raises PostingRefused, and SQLAlchemy's OperationalError where another session holds the payer: then rate
    the day again.
    """
    payer_id = new.subject.payer_id
    with locked(database, (payer_id,)) as connection:
        view = read_payers(connection, (payer_id,))[payer_id]
        before = read_rated(connection, new.subject)
        if before.is_as(new):
            return None
        post_rating(connection, view, before, new, moment)
    return new.id


def read_rated(connection: Connection, subject: Subject) -> Rated:
    """How a day was rated so far."""
    own = rating.c
    rows = connection.execute(
        select(rating)
        .where(
            own.payer_id == subject.payer_id,
            own.key_id == subject.key_id,
            own.service == subject.service,
            own.travel_day == subject.travel_day,
        )
        .order_by(own.revision)
    ).all()
    if not rows:
        return Rated()
    ids = [TransactionId(row.transaction_id) for row in rows]
    known = {each.id: each for each in read_known(connection, (subject.payer_id,), ids)}
    return Rated(
        revision=rows[-1].revision,
        should_be_minor=rows[-1].should_be_minor,
        taps=tuple(TransactionId(UUID(tap)) for tap in rows[-1].taps),
        transactions=tuple(known[each] for each in ids),
    )


def days_rated(connection: Connection, payer_id: PayerId, key_id: UUID, service: str) -> frozenset[date]:
    """The days of one payer's for one person that have been rated at all."""
    own = rating.c
    days = select(own.travel_day).where(
        own.payer_id == payer_id, own.key_id == key_id, own.service == service
    )
    return frozenset(connection.scalars(days.distinct()))


def post_rating(
    connection: Connection, view: PayerView, before: Rated, new: Rating, moment: datetime
) -> None:
    """Post a revision that was decided on `view` and `before`. Raises PostingRefused: roll back then."""
    subject = new.subject
    try:
        connection.execute(
            insert(rating).values(
                payer_id=subject.payer_id,
                transaction_id=new.id,
                key_id=subject.key_id,
                service=subject.service,
                travel_day=subject.travel_day,
                revision=before.revision + 1,
                follows=before.revision or None,
                should_be_minor=new.should_be_minor,
                taps=[str(tap) for tap in new.taps],
            )
        )
    except IntegrityError as error:
        raise PostingRefused(f"refused by the database: {error.orig}") from error
    [result] = post_on(connection, [posting_of(view, before, new, moment)])
    if result.outcome is not Outcome.POSTED:
        # Leaving by an error takes the revision back, too.
        raise PostingRefused(f"the rating was not posted: {result.outcome}")
