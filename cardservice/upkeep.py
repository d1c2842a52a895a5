"""What has to be done now and then while the service runs, in the order in which it builds on each other.

Every step may be done twice, by two workers or again after a crash: each leaves what is done as it is.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from threading import Event
from zoneinfo import ZoneInfo

import psycopg
from sqlalchemy.exc import OperationalError

from cardservice.audit import chain
from cardservice.authorisation.ending_holds import end_holds
from cardservice.cards.ending_lendings import end_lendings
from cardservice.context import Context
from cardservice.ledger.closing.holding import Held, held_back
from cardservice.ledger.closing.seals import seal_days
from cardservice.ledger.closing.sequencing import Calendar, sequence
from cardservice.ledger.errors import NodeAway, SequenceHeld
from cardservice.ledger.partitioning import make_months
from cardservice.ledger.resources import settle_reservations
from cardservice.payments.polling import Polled, poll, provider_of
from cardservice.rating.service import rate_all

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Round:
    """What a round has done."""

    # Transactions that have their number in the ledger sequence now
    numbered: int
    sealed: tuple[date, ...]
    # Reservations of sales that are posted, and of those that never were
    confirmed: int
    released: int
    # Days that were charged anew
    rated: int
    # Who keeps numbers waiting for longer than a minute
    held: Held | None
    # Holds of money whose time was over
    ended: int = 0
    # None: there is no payment provider
    polled: Polled | None = None
    # Partitions that were made for months to come
    months: tuple[str, ...] = ()


def calendar_of(context: Context) -> Calendar:
    """The scheme's days, as of now."""
    return Calendar(ZoneInfo(context.scheme.timezone), context.now())


def keep_up(context: Context, stop: Event | None = None) -> Round:
    """Do what is due now; a long rating ends early on `stop`, and the next round goes on with it.

    Raises SequenceHeld where another worker is numbering at this moment.
    """
    months = make_months(context.database, context.now())
    settled = settle_reservations(context.database, context.now())
    ended = end_holds(context)
    end_lendings(context)
    calendar = calendar_of(context)
    chain.lengthen(context.database, context.now())
    numbered = sequence(context.database, calendar)
    # While a restore's losses come back, nothing is closed.
    recovering = context.gate.is_recovering()
    sealed = [] if recovering else seal_days(context.database, calendar, context.scheme.id, context.keys)
    # After sealing, which no payer that somebody holds must keep back.
    rated = rate_all(context, stop=stop)
    # Last: however long the provider takes, the ledger is numbered.
    provider = provider_of(context.settings)
    return Round(
        numbered=numbered,
        sealed=tuple(seal.day for seal in sealed),
        confirmed=settled.confirmed,
        released=settled.released,
        rated=rated.revisions,
        ended=ended,
        held=held_back(context.database, calendar),
        polled=None if provider is None else poll(context, provider),
        months=tuple(months),
    )


def keep_on(context: Context, every_s: float, stop: Event, done: Callable[[Round], None]) -> None:
    """A round every so many seconds until `stop`; what keeps one from being done is logged."""
    while not stop.is_set():
        try:
            done(keep_up(context, stop))
        except SequenceHeld:
            log.info("another worker is numbering the ledger")
        except NodeAway as away:
            log.warning("a node of the cluster does not answer", extra={"members": {"nodes": away.nodes}})
        except (OperationalError, psycopg.OperationalError) as error:
            # Without its text, which can hold values of the statement.
            log.warning("the database does not answer", extra={"members": {"kind": type(error).__name__}})
        stop.wait(every_s)
