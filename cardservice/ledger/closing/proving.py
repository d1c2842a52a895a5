"""What proves that a transaction is in its sealed day: its leaf, opened, and the path to the head."""

from dataclasses import dataclass
from datetime import date
from functools import partial

from sqlalchemy import Connection, Row, select

from cardservice.errors import TransactionUnknown
from cardservice.ids import TransactionId
from cardservice.ledger.by_id import payers_with
from cardservice.ledger.closing.leaves import Entry, entries
from cardservice.ledger.closing.merkle import inclusion_path, leaf_hash, root_by_path, root_of
from cardservice.ledger.closing.models import day_seal, ledger_sequence, sealed_leaf
from cardservice.ledger.closing.seals import Seal
from cardservice.ledger.errors import LeafErased, NotSealed, SealBroken
from cardservice.ledger.models import ledger_transaction


@dataclass(frozen=True, slots=True)
class OpenedLeaf:
    """A leaf with its salt and content, and what leads from it to the root of its seal."""

    sequence: int
    salt: bytes
    content: bytes
    path: tuple[bytes, ...]
    seal: Seal


def open_leaf(connection: Connection, transaction_id: TransactionId) -> OpenedLeaf:
    """A transaction's leaf; memory stays flat, however many there are on its day.

    Raises TransactionUnknown, NotSealed, LeafErased, and SealBroken where it is no more what was sealed.
    """
    seal, entry = _sealed(connection, transaction_id)
    if entry.salt is None:
        raise LeafErased(transaction_id, None if entry.erased_at is None else entry.erased_at.date())
    index = entry.sequence - seal.after_sequence - 1
    path = inclusion_path(index, seal.size, partial(_root_between, connection, seal))
    content = entry.sealed or b""
    if root_by_path(index, seal.size, leaf_hash(entry.salt + content), path) != seal.root:
        raise SealBroken(transaction_id, seal.day)
    return OpenedLeaf(entry.sequence, entry.salt, content, tuple(path), seal)


def _sealed(connection: Connection, transaction_id: TransactionId) -> tuple[Seal, Entry]:
    """The seal of a transaction's day, and its entry in it."""
    numbered = _find_number(connection, transaction_id)
    found = connection.execute(
        select(day_seal).where(
            day_seal.c.shard == numbered.shard,
            day_seal.c.epoch == numbered.epoch,
            day_seal.c.day == numbered.settled_on,
        )
    ).one_or_none()
    if found is None:
        raise NotSealed(transaction_id, numbered.settled_on)
    seal = Seal(*found)
    [entry] = entries(connection, seal.shard, seal.epoch, numbered.sequence - 1, numbered.sequence)
    if not seal.after_sequence < entry.sequence <= seal.last_sequence or entry.hash is None:
        raise SealBroken(transaction_id, seal.day)
    return seal, entry


def _find_number(connection: Connection, transaction_id: TransactionId) -> Row[int, int, int, date]:
    stored, entry = ledger_transaction.c, ledger_sequence.c
    same = (entry.payer_id == stored.payer_id) & (entry.transaction_id == stored.id)
    row = connection.execute(
        select(entry.shard, entry.epoch, entry.sequence, entry.settled_on)
        .select_from(ledger_transaction.outerjoin(ledger_sequence, same))
        .where(stored.payer_id.in_(payers_with(connection, transaction_id)), stored.id == transaction_id)
    ).one_or_none()
    if row is None:
        raise TransactionUnknown(transaction_id)
    if row.sequence is None:
        raise NotSealed(transaction_id)
    return row


def _root_between(connection: Connection, seal: Seal, begin: int, end: int) -> bytes:
    """The head over the leaves from one place in the day's tree up to another."""
    leaf = sealed_leaf.c
    query = (
        select(leaf.hash)
        .where(
            leaf.shard == seal.shard,
            leaf.epoch == seal.epoch,
            leaf.sequence > seal.after_sequence + begin,
            leaf.sequence <= seal.after_sequence + end,
        )
        .order_by(leaf.sequence)
        .execution_options(yield_per=1_000)
    )
    return root_of(connection.scalars(query))
