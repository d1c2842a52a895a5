"""Noticing at the start that the database is older than what was published of it: then a recovery begins."""

import logging

from cardservice.context import Context
from cardservice.recovery.errors import HeadsUnreadable
from cardservice.recovery.heads import Comparison, compare, read_published
from cardservice.recovery.service import begin, open_recovery
from cardservice.upkeep import calendar_of

log = logging.getLogger(__name__)

ACTOR = "service"


def notice_loss(context: Context) -> None:
    """Begin a recovery where the database lacks published heads, and none is open.

    An address that does not answer keeps nobody from serving; a file that cannot be read does. Raises
    HeadsUnreadable and HeadsDiffer.
    """
    source = context.settings.published_heads
    if not source:
        return
    try:
        found = look(context, source)
    except HeadsUnreadable as error:
        if not error.is_away:
            raise
        log.warning("the published heads do not answer: it is not known whether the ledger has them all")
        return
    if not found.lost:
        return
    with context.database.reading() as connection:
        if open_recovery(connection) is not None:
            return
    days = f"{found.lost[0].day} to {found.lost[-1].day}"
    reason = f"{len(found.lost)} published heads are missing, of {days}"
    begun = begin(context, calendar_of(context), found.lost, reason=reason, actor=ACTOR)
    log.warning("recovery %d has begun: %s", begun.number, reason)


def look(context: Context, source: str) -> Comparison:
    """The published heads beside the database. Raises HeadsUnreadable and HeadsDiffer."""
    heads = read_published(context, source)
    with context.database.reading() as connection:
        return compare(connection, heads)
