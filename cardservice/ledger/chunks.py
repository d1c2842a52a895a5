"""Posting a chunk: thousands of transactions in one database transaction, several of one payer among them.

The same steps as `posting`, over sets: what was decided is written down, the payers' states are locked in key
order as a statement of its own, only then is anything looked at, and each table gets one statement. A payer
who is held, or whose state is not as it was when it was decided, is left out with all that was to be posted
under it: that is decided again, and posted one by one. What of a chunk is posted is posted together; on a
cluster, what of it lies in one shard (`chunks_cluster`).
"""

import logging
from collections.abc import Sequence

from sqlalchemy.exc import DataError, IntegrityError

from cardservice.database import Database, driver_of
from cardservice.ids import TransactionId
from cardservice.ledger import chunks_cluster, chunks_postgresql, chunks_sqlite
from cardservice.ledger.chunk_values import Taken
from cardservice.ledger.errors import PostingInvalid
from cardservice.ledger.posting import REFUSALS
from cardservice.ledger.posting_postgresql import is_distributed
from cardservice.ledger.values import Posting

log = logging.getLogger(__name__)


def post_chunk(database: Database, postings: Sequence[Posting]) -> frozenset[TransactionId]:
    """The ids of those that were posted; the others have changed nothing, and can be posted one by one.

    Every posting of a payer names the version that its payer was read at, and each was decided on what those
    before it leave behind. Raises PostingInvalid for what a chunk does not take (an id twice, a tombstone,
    what no card has made), and what the driver raises where the database is away.
    """
    _check(postings)
    if not postings:
        return frozenset()
    try:
        if database.dialect == "sqlite":
            with database.begin() as connection:
                return chunks_sqlite.post(connection, postings)
        with database.begin() as connection:
            if not is_distributed(driver_of(connection)):
                return chunks_postgresql.post(connection, postings)
        with database.posting_engine.connect() as connection:
            return chunks_cluster.post(driver_of(connection), postings)
    except (*REFUSALS, IntegrityError, DataError, Taken) as refused:
        # One by one it comes out which of them it was; it costs the others nothing but time.
        log.warning("a chunk was refused as a whole", exc_info=refused)
        return frozenset()


def _check(postings: Sequence[Posting]) -> None:
    if len({posting.transaction.id for posting in postings}) < len(postings):
        raise PostingInvalid("an id occurs twice in the chunk")
    for posting in postings:
        if posting.tombstone is not None or posting.proof is None or posting.details is None:
            raise PostingInvalid("a chunk takes what cards have made, without tombstones")
