"""Holds that nothing has settled end by themselves: the worker gives the money back after their time."""

import logging
from collections.abc import Iterator

from sqlalchemy import Connection, select

from cardservice.authorisation.refunding import Wish
from cardservice.authorisation.refunds import Refund, give
from cardservice.context import Context
from cardservice.errors import Busy, RefundRefused
from cardservice.ids import TransactionId
from cardservice.ledger.models import counter
from cardservice.services.holds import read_period, rule_of

log = logging.getLogger(__name__)
WORKER = "worker"


def end_holds(context: Context) -> int:
    """Give back what is set aside under holds whose time is over; how many they were.

    What set it aside is refunded, as staff would; done twice, nothing is given back twice.
    """
    with context.database.reading() as connection:
        over = list(_over(context, connection))
    ended = 0
    for transaction in over:
        try:
            ended += not give(context, Refund(Wish(transaction)), actor=WORKER).repeated
        except (Busy, RefundRefused):
            # Somebody is at it, or has just done it.
            log.info("a hold is not ended in this round", extra={"members": {"id": str(transaction)}})
    return ended


def _over(context: Context, connection: Connection) -> Iterator[TransactionId]:
    own, now = counter.c, context.now()
    for service in context.services:
        # By the index of what is looked for: its periods have a slash.
        holds = select(own.period).where(own.rule == rule_of(service), own.period.like("%/%"), own.used > 0)
        for period in connection.scalars(holds):
            hold, transaction = read_period(period)
            if hold.until <= now:
                yield TransactionId(transaction)
