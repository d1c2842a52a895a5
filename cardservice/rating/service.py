"""Days are charged: what has come since the last round says whose days to rate, and their taps at what.

A day is rated under its payer's lock, from all taps that are there, so that nothing depends on the order in
which they came. What says nothing new posts nothing: a round that broke off is simply done again.
"""

import logging
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection, insert, update

from cardservice.context import Context
from cardservice.ids import ProviderId, TransactionId
from cardservice.ledger.errors import PostingRefused
from cardservice.ledger.posting import locked
from cardservice.ledger.rating_days import days_rated, post_rating, read_rated
from cardservice.ledger.ratings import Rated as RatedBefore
from cardservice.ledger.ratings import Rating, Share, Subject
from cardservice.ledger.reading import read_payers
from cardservice.ledger.values import PayerView
from cardservice.rating.models import rating_position
from cardservice.rating.reading import (
    Bearing,
    Place,
    Rider,
    bearings,
    has_tapped,
    holder_of,
    newest,
    read_place,
    read_taps,
)
from cardservice.services.rated import DayCharge, Rated, Span
from cardservice.tariffs.service import TariffVersion, tariffs_of

log = logging.getLogger(__name__)

# Entries of the ledger's sequence looked at together, ours.
AT_ONCE = 100_000
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Charged:
    """What a round has rated: revisions that were posted; spans that could not be, their taps erased."""

    revisions: int = 0
    left_out: int = 0

    def __add__(self, other: "Charged") -> "Charged":
        return Charged(self.revisions + other.revisions, self.left_out + other.left_out)


def rate_all(context: Context, *, at_once: int = AT_ONCE) -> Charged:
    """Rate whatever has come since, of all services whose taps are rated.

    Raises SQLAlchemy's OperationalError where another session holds a payer: the next round does it again.
    """
    done = Charged()
    for name, service in context.services.items():
        if isinstance(service, Rated):
            while (step := _step(context, name, service, at_once)) is not None:
                done += step
    return done


def _step(context: Context, name: str, service: Rated, at_once: int) -> Charged | None:
    with context.database.reading() as connection:
        after = read_place(connection, name)
        until = newest(connection, after, at_once)
        if until == after:
            return None
        found = bearings(connection, name, service.bears_on_days, after, until)
        due = _due(context, connection, name, service, found)
    done = Charged()
    for rider, spans in sorted(due.items()):
        for span in sorted(spans, key=lambda each: each.first_day):
            done += rate_span(context, name, service, rider, span)
    with context.database.begin() as connection:
        _store_place(connection, name, until)
    return done


def _due(
    context: Context, connection: Connection, name: str, service: Rated, found: list[Bearing]
) -> Mapping[Rider, set[Span]]:
    due: dict[Rider, set[Span]] = {}
    # The last of those that have begun is in force, as `tariff_in_force` has it: read once for all.
    tariffs = [each.version for each in tariffs_of(connection, name)]
    begins = [each.valid_from for each in tariffs]
    for bearing in found:
        place = bisect(begins, bearing.occurred_at)
        if place:
            version = tariffs[place - 1]
            spans = service.spans(bearing.occurred_at, context.tariffs.get(version), bearing.action)
            due.setdefault(bearing.rider, set()).update(spans)
    return due


def rate_span(context: Context, name: str, service: Rated, rider: Rider, span: Span) -> Charged:
    """Rate the days of a span, in one database transaction under the payer's lock.

    Where nobody has ever tapped there is nothing to rate, and nobody is locked: a pass bears on many weeks.
    """
    with context.database.reading() as connection:
        if not has_tapped(connection, rider, name, service.tap_actions, span.begins, span.ends):
            return Charged()
    try:
        with locked(context.database, (rider.payer_id,)) as connection:
            view = read_payers(connection, (rider.payer_id,))[rider.payer_id]
            charges = charges_of(context, connection, name, service, rider, view, span)
            if charges is None:
                return Charged(left_out=1)
            rated = days_rated(connection, rider.payer_id, rider.key_id, name)
            due = [day for day in _days(span) if day in rated or day in charges]
            revisions = sum(_rate_day(context, connection, name, rider, day, charges.get(day)) for day in due)
            return Charged(revisions=revisions)
    except PostingRefused:
        # A fault of the program, or of this person's rows: it must not keep all others from being charged.
        log.exception("a day was not rated", extra={"members": {"payer": str(rider.payer_id)}})
        return Charged(left_out=1)


def charges_of(
    context: Context,
    connection: Connection,
    name: str,
    service: Rated,
    rider: Rider,
    view: PayerView,
    span: Span,
) -> Mapping[date, DayCharge] | None:
    """What each day of the span with taps should cost; None where what prices a tap was erased."""
    taps = read_taps(connection, rider, name, service.tap_actions, span.begins, span.ends)
    if taps is None:
        return None
    holder = holder_of(connection, rider.key_id)
    counters = [each for each in view.counters if each.cardholder_id == holder]
    versions = {version for tap in taps if (version := service.tariff_named(tap)) is not None}
    tariffs = {
        version: context.tariffs.get(TariffVersion(name, version, span.begins)) for version in versions
    }
    return {each.travel_day: each for each in service.day_charges(taps, counters, tariffs, span)}


def _rate_day(
    context: Context, connection: Connection, name: str, rider: Rider, day: date, charge: DayCharge | None
) -> int:
    subject = Subject(rider.payer_id, rider.key_id, name, day)
    before = read_rated(connection, subject)
    if charge is None and not before.transactions:
        return 0
    new = _rating(context, subject, before, charge)
    if before.is_as(new):
        return 0
    # Read anew: the day before may have changed it.
    view = read_payers(connection, (rider.payer_id,))[rider.payer_id]
    post_rating(connection, view, before, new, context.now())
    return 1


def _rating(context: Context, subject: Subject, before: RatedBefore, charge: DayCharge | None) -> Rating:
    """The day as it should be; nothing of it is left where every tap was annulled."""
    if charge is None:
        last = before.transactions[-1].tariff_version or ""
        return Rating(subject=subject, shares=(), taps=(), tariff_version=last, unit=context.scheme.currency)
    return Rating(
        subject=subject,
        shares=tuple(Share(ProviderId(each.provider), each.amount_minor) for each in charge.shares),
        taps=tuple(TransactionId(tap) for tap in charge.taps),
        tariff_version=charge.tariff_version,
        unit=context.scheme.currency,
    )


def _days(span: Span) -> list[date]:
    return [span.first_day + number * _DAY for number in range((span.last_day - span.first_day).days + 1)]


def _store_place(connection: Connection, name: str, place: Place) -> None:
    own = rating_position.c
    values = {"epoch": place.epoch, "sequence": place.sequence}
    if connection.execute(update(rating_position).where(own.service == name).values(values)).rowcount == 0:
        connection.execute(insert(rating_position).values(service=name, **values))
