"""A day's ratings in the database: read, decided and posted under the payer's lock."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, insert, select
from sqlalchemy.exc import IntegrityError

from cardservice.database import Database
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.errors import PostingRefused
from cardservice.ledger.event_models import rating
from cardservice.ledger.posting import locked, post_on
from cardservice.ledger.ratings import Rated, Rating, Subject, posting_of
from cardservice.ledger.reading import read_known, read_payers
from cardservice.ledger.values import KnownTransaction, Outcome, PayerView


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
    of_day = (own.key_id == subject.key_id, own.travel_day == subject.travel_day)
    return _read(connection, (subject.payer_id,), subject.service, *of_day).get(subject, Rated())


def read_days(
    connection: Connection, payer_ids: Collection[PayerId], service: str, first: date, last: date
) -> Mapping[Subject, Rated]:
    """How the days of these payers, both included, were rated so far; those that were never are left out."""
    return _read(connection, payer_ids, service, rating.c.travel_day.between(first, last))


def _read(
    connection: Connection, payer_ids: Collection[PayerId], service: str, *wanted: ColumnElement[bool]
) -> Mapping[Subject, Rated]:
    own = rating.c
    of_payers = (own.payer_id.in_(payer_ids), own.service == service)
    found: defaultdict[Subject, list[Row[*tuple[Any, ...]]]] = defaultdict(list)
    for row in connection.execute(select(rating).where(*of_payers, *wanted).order_by(own.revision)):
        found[Subject(PayerId(row.payer_id), row.key_id, service, row.travel_day)].append(row)
    if not found:
        return {}
    ids = [TransactionId(row.transaction_id) for rows in found.values() for row in rows]
    known = {each.id: each for each in read_known(connection, payer_ids, ids)}
    return {subject: _rated(rows, known) for subject, rows in found.items()}


def _rated(rows: Sequence[Row[*tuple[Any, ...]]], known: Mapping[TransactionId, KnownTransaction]) -> Rated:
    return Rated(
        revision=rows[-1].revision,
        should_be_minor=rows[-1].should_be_minor,
        taps=tuple(TransactionId(UUID(tap)) for tap in rows[-1].taps),
        transactions=tuple(known[TransactionId(row.transaction_id)] for row in rows),
    )


def post_rating(
    connection: Connection, view: PayerView, before: Rated, new: Rating, moment: datetime
) -> None:
    """Post a revision that was decided on `view` and `before`. Raises PostingRefused: roll back then."""
    try:
        connection.execute(insert(rating).values(row_of(before, new)))
    except IntegrityError as error:
        raise PostingRefused(f"refused by the database: {error.orig}") from error
    [result] = post_on(connection, [posting_of(view, before, new, moment)])
    if result.outcome is not Outcome.POSTED:
        # Leaving by an error takes the revision back, too.
        raise PostingRefused(f"the rating was not posted: {result.outcome}")


def row_of(before: Rated, new: Rating) -> dict[str, Any]:
    """The row of a revision, by column."""
    subject = new.subject
    return {
        "payer_id": subject.payer_id,
        "transaction_id": new.id,
        "key_id": subject.key_id,
        "service": subject.service,
        "travel_day": subject.travel_day,
        "revision": before.revision + 1,
        "follows": before.revision or None,
        "should_be_minor": new.should_be_minor,
        "taps": [str(tap) for tap in new.taps],
    }
