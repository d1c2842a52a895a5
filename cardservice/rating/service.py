"""Days are charged: what has come since the last round says whose days to rate, and their taps at what.

A day is rated from all taps that are there, so that nothing depends on the order in which they came, and
posted under its payer's lock if nothing has changed since they were read. What says nothing new posts
nothing: a round that broke off is simply done again.
"""

import logging
import time
from bisect import bisect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from threading import Event

from sqlalchemy import Connection, insert, update

from cardservice.context import Context
from cardservice.ids import PayerId, ProviderId, TransactionId
from cardservice.ledger.errors import PostingRefused
from cardservice.ledger.posting import locked
from cardservice.ledger.rating_days import post_rating, read_days
from cardservice.ledger.rating_groups import Revision, post_group
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
    holders_of,
    newest,
    payers_tapped,
    read_place,
    read_taps,
)
from cardservice.services.rated import DayCharge, Rated, Span
from cardservice.tariffs.service import TariffVersion, tariffs_of

log = logging.getLogger(__name__)

# Entries of the ledger's sequence looked at together, ours.
AT_ONCE = 100_000
# Riders who are read and posted together, ours: their payers are locked for as long as it takes to post.
GROUP = 500
TOLD_EVERY_S = 10.0
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Charged:
    """What a round has rated: revisions that were posted; spans that could not be, their taps erased."""

    revisions: int = 0
    left_out: int = 0

    def __add__(self, other: "Charged") -> "Charged":
        return Charged(self.revisions + other.revisions, self.left_out + other.left_out)


def rate_all(context: Context, *, at_once: int = AT_ONCE, stop: Event | None = None) -> Charged:
    """Rate whatever has come since, of all services whose taps are rated; until `stop`, between two groups.

    Raises SQLAlchemy's OperationalError where another session holds a payer: the next round does it again.
    """
    done, stop = Charged(), stop or Event()
    for name, service in context.services.items():
        if isinstance(service, Rated):
            while not stop.is_set() and (step := _step(context, name, service, at_once, stop)) is not None:
                done += step
    return done


def _step(context: Context, name: str, service: Rated, at_once: int, stop: Event) -> Charged | None:
    with context.database.reading() as connection:
        after = read_place(connection, name)
        until = newest(connection, after, at_once)
        if until == after:
            return None
        found = bearings(connection, name, service.bears_on_days, after, until)
        due = _due(context, connection, name, service, found)
    done, groups = Charged(), list(_groups(due))
    progress = _Progress(name, sum(len(riders) for _, riders in groups))
    for span, riders in groups:
        if stop.is_set():
            # Where it has come to is not stored: what was rated is seen to be as it is.
            return done
        done += rate_group(context, name, service, riders, span)
        progress.tell(len(riders))
    with context.database.begin() as connection:
        _store_place(connection, name, until)
    return done


def _groups(due: Mapping[Rider, set[Span]]) -> Iterator[tuple[Span, list[Rider]]]:
    """Who is rated together: so many of one span, the earlier spans first."""
    by_span: dict[Span, list[Rider]] = {}
    for rider, spans in sorted(due.items()):
        for span in spans:
            by_span.setdefault(span, []).append(rider)
    for span in sorted(by_span, key=lambda each: each.first_day):
        riders = by_span[span]
        for first in range(0, len(riders), GROUP):
            yield span, riders[first : first + GROUP]


class _Progress:
    """Says now and then how far a step has come; of one that takes no longer than that, nothing."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total, self._done = name, total, 0
        self._told = time.monotonic()

    def tell(self, more: int) -> None:
        self._done += more
        if time.monotonic() - self._told >= TOLD_EVERY_S:
            self._told = time.monotonic()
            members = {"service": self._name, "weeks": self._done, "of": self._total}
            log.info("days are being rated", extra={"members": members})


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


def rate_group(context: Context, name: str, service: Rated, riders: Collection[Rider], span: Span) -> Charged:
    """Rate the days of a span for many riders: read together, without a lock, and posted together.

    Whose payer has changed since, or is held, is rated alone, under the lock. Where nobody has ever tapped
    there is nothing to rate, and nothing else is read: a pass bears on many weeks.
    """
    with context.database.reading() as connection:
        where = (name, service.tap_actions, span.begins, span.ends)
        tapped = payers_tapped(connection, riders, *where)
        riders = [rider for rider in riders if rider.payer_id in tapped]
        if not riders:
            return Charged()
        views = read_payers(connection, tapped)
        found = charges_of(context, connection, name, service, riders, views, span)
        before = read_days(connection, tapped, name, span.first_day, span.last_day)
    due: dict[PayerId, list[Revision]] = {}
    for rider, charges in found.items():
        if charges is not None and (own := _revisions(context, name, rider, charges, before, span)):
            due.setdefault(rider.payer_id, []).extend(own)
    posted = post_group(context.database, views, due, context.now())
    done = Charged(
        revisions=sum(len(due[payer]) for payer in posted),
        left_out=sum(charges is None for charges in found.values()),
    )
    for rider, charges in found.items():
        if charges is not None and rider.payer_id in due and rider.payer_id not in posted:
            done += _rate_alone(context, name, service, rider, span)
    return done


def _rate_alone(context: Context, name: str, service: Rated, rider: Rider, span: Span) -> Charged:
    """Rate the days of a span, in one database transaction under the payer's lock."""
    try:
        with locked(context.database, (rider.payer_id,)) as connection:
            views = read_payers(connection, (rider.payer_id,))
            charges = charges_of(context, connection, name, service, (rider,), views, span)[rider]
            if charges is None:
                return Charged(left_out=1)
            before = read_days(connection, (rider.payer_id,), name, span.first_day, span.last_day)
            due = _revisions(context, name, rider, charges, before, span)
            for each in due:
                # Read anew: the day before may have changed it.
                view = read_payers(connection, (rider.payer_id,))[rider.payer_id]
                post_rating(connection, view, each.before, each.new, context.now())
            return Charged(revisions=len(due))
    except PostingRefused:
        # A fault of the program, or of this person's rows: it must not keep all others from being charged.
        log.exception("a day was not rated", extra={"members": {"payer": str(rider.payer_id)}})
        return Charged(left_out=1)


def charges_of(
    context: Context,
    connection: Connection,
    name: str,
    service: Rated,
    riders: Collection[Rider],
    views: Mapping[PayerId, PayerView],
    span: Span,
) -> Mapping[Rider, Mapping[date, DayCharge] | None]:
    """What each rider's days of the span with taps should cost; None where what prices a tap was erased."""
    found = read_taps(connection, riders, name, service.tap_actions, span.begins, span.ends)
    holders = holders_of(connection, {rider.key_id for rider in riders})
    named = {service.tariff_named(tap) for taps in found.values() for tap in taps or ()}
    tariffs = {
        version: context.tariffs.get(TariffVersion(name, version, span.begins))
        for version in named
        if version is not None
    }
    charges: dict[Rider, Mapping[date, DayCharge] | None] = {}
    for rider, taps in found.items():
        if taps is None:
            charges[rider] = None
            continue
        holder = holders.get(rider.key_id)
        counters = [each for each in views[rider.payer_id].counters if each.cardholder_id == holder]
        own = service.day_charges(taps, counters, tariffs, span)
        charges[rider] = {each.travel_day: each for each in own}
    return charges


def _revisions(
    context: Context,
    name: str,
    rider: Rider,
    charges: Mapping[date, DayCharge],
    before: Mapping[Subject, RatedBefore],
    span: Span,
) -> list[Revision]:
    """What says something new, day by day."""
    found = []
    for day in _days(span):
        subject = Subject(rider.payer_id, rider.key_id, name, day)
        rated, charge = before.get(subject, RatedBefore()), charges.get(day)
        if charge is not None or rated.transactions:
            new = _rating(context, subject, rated, charge)
            if not rated.is_as(new):
                found.append(Revision(rated, new))
    return found


def _rating(context: Context, subject: Subject, before: RatedBefore, charge: DayCharge | None) -> Rating:
    """The day as it should be; nothing of it is left where every tap was annulled."""
    if charge is None:
        last = before.transactions[-1].tariff_version or ""
        return Rating(subject=subject, shares=(), taps=(), tariff_version=last, unit=context.scheme.currency)
    return Rating(
        subject=subject,
        shares=tuple(
            Share(ProviderId(each.provider), each.amount_minor, each.tax_code) for each in charge.shares
        ),
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
