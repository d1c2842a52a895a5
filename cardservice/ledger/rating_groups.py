"""Many payers' ratings in one database transaction, as `chunks` posts what cards have made.

They were decided on states that were read together, without a lock. Then the payers are locked in key order,
as a statement of its own, and a payer who is held by another session, or is not as when it was decided, is
left out with all that was to be posted: that is decided again, alone. What of a group is posted is posted
together; on a cluster, what of it lies in one shard.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import DataError, IntegrityError

from cardservice.database import Database, driver_of
from cardservice.ids import PayerId
from cardservice.ledger import nodes
from cardservice.ledger.errors import PostingRefused
from cardservice.ledger.event_models import rating
from cardservice.ledger.models import payer_state
from cardservice.ledger.nodes import Place
from cardservice.ledger.posting import post_on
from cardservice.ledger.posting_postgresql import is_distributed
from cardservice.ledger.rating_days import row_of
from cardservice.ledger.ratings import Rated, Rating, posting_of
from cardservice.ledger.reading import read_payers
from cardservice.ledger.values import Outcome, PayerView

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Revision:
    """How a day was rated so far, and how it should be."""

    before: Rated
    new: Rating


def post_group(
    database: Database,
    views: Mapping[PayerId, PayerView],
    revisions: Mapping[PayerId, Sequence[Revision]],
    moment: datetime,
) -> frozenset[PayerId]:
    """The payers whose revisions were posted, all of theirs; those of the others can be rated one by one.

    `views`: as they were read with what the revisions were decided on. No day occurs twice. Raises
    SQLAlchemy's OperationalError where the database is away.
    """
    posted: set[PayerId] = set()
    for payers in _together(database, list(revisions)):
        try:
            with database.begin() as connection:
                standing = _standing(connection, {payer: views[payer] for payer in payers})
                _post(connection, standing, {payer: revisions[payer] for payer in standing}, moment)
            posted |= standing.keys()
        except (IntegrityError, DataError, PostingRefused) as refused:
            # One by one it comes out whose it was; it costs the others nothing but time.
            log.warning("a group of ratings was refused as a whole", exc_info=refused)
    return frozenset(posted)


def _together(database: Database, payers: Sequence[PayerId]) -> list[list[PayerId]]:
    """Those who are posted together: on a cluster, which locks rows of one shard at a time, those of one."""
    if not payers:
        return []
    if database.dialect == "sqlite":
        return [list(payers)]
    with database.reading() as connection:
        driver = driver_of(connection)
        where = nodes.places(driver, payers) if is_distributed(driver) else {}
    found: defaultdict[Place | None, list[PayerId]] = defaultdict(list)
    for payer in payers:
        found[where.get(payer)].append(payer)
    return list(found.values())


def _standing(connection: Connection, views: Mapping[PayerId, PayerView]) -> Mapping[PayerId, PayerView]:
    """Those that nobody else holds and that are as they were, locked to the end of the transaction."""
    own = payer_state.c
    rows = connection.execute(
        select(own.payer_id, own.version)
        .where(own.payer_id.in_(views))
        .order_by(own.payer_id)
        # A payer whom another session holds is not waited for: all that are locked already would wait, too.
        .with_for_update(key_share=True, skip_locked=True)
    )
    return {payer: views[payer] for payer, version in rows if views[payer].version == version}


def _post(
    connection: Connection,
    views: Mapping[PayerId, PayerView],
    revisions: Mapping[PayerId, Sequence[Revision]],
    moment: datetime,
) -> None:
    """In layers, each of one day of each payer: the next is decided on what the one before leaves behind."""
    rows = [row_of(each.before, each.new) for own in revisions.values() for each in own]
    if rows:
        connection.execute(insert(rating), rows)
    for layer in count():
        wanted = [(payer, own[layer]) for payer, own in revisions.items() if layer < len(own)]
        if not wanted:
            return
        if layer:
            views = read_payers(connection, [payer for payer, _ in wanted])
        results = post_on(
            connection, [posting_of(views[payer], each.before, each.new, moment) for payer, each in wanted]
        )
        _check([result.outcome for result in results])


def _check(outcomes: Collection[Outcome]) -> None:
    refused = {str(outcome) for outcome in outcomes} - {Outcome.POSTED}
    if refused:
        # Leaving by an error takes the revisions back, too.
        raise PostingRefused(f"a rating was not posted: {', '.join(sorted(refused))}")
