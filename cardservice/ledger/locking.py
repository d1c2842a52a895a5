"""The payers' locks: states in key order, so that whoever wants the same waits in one direction only."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from cardservice.ids import PayerId
from cardservice.ledger.closing.rounds import on_cluster
from cardservice.ledger.models import payer_state


def lock_states(connection: Connection, payer_ids: Collection[PayerId]) -> list[PayerId]:
    """Lock these payers' states to the end of the transaction; those that there are.

    Raises SQLAlchemy's OperationalError where another session holds one for longer than `lock_timeout`.
    """
    state = payer_state.c.payer_id
    wanted = sorted(payer_ids)
    # A cluster locks rows of one shard at a time: there one after the other, in the same order.
    parts = [[payer] for payer in wanted] if on_cluster(connection) else [wanted]
    found: list[PayerId] = []
    for part in parts:
        rows = select(state).where(state.in_(part)).order_by(state).with_for_update(key_share=True)
        found += map(PayerId, connection.scalars(rows))
    return found
