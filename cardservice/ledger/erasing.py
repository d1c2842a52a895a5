"""What erasing a person takes out of the ledger: whose rows they were, and what they were about.

Transactions, transfers and proofs stay as they are, under a payer that nobody is any more and a key that is
gone. So the books balance, and every id stays taken.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, delete, insert, or_, select, update

from cardservice.ids import CardholderId, CardId, PayerId, TransactionId
from cardservice.ledger.closing.seals import Signer, forget_leaves
from cardservice.ledger.event_models import rating
from cardservice.ledger.models import (
    account,
    cardholder_key,
    cardholder_payer,
    counter,
    erased_card,
    ledger_transaction,
    payer,
    payer_limit,
    transaction_details,
    transaction_proof,
    transfer,
)
from cardservice.ledger.payers import payers_of
from cardservice.ledger.privacy import destroy_key, erase_details

# Ours: what a card's hash is for.
_CARD_CONTEXT = b"citizen-card erased card\x00"
_IDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class OwnPayer:
    """A payer of a person; `is_shared` where it pays, has paid or will pay for others, too."""

    id: PayerId
    kind: str
    is_shared: bool
    # Whether it pays now or is to pay later.
    is_current: bool
    # What it holds and owes other than points, by unit and account, where that is not nothing.
    open: tuple[tuple[str, str, int], ...]


def payers_for_erasure(
    connection: Connection, holder: CardholderId, moment: datetime
) -> tuple[OwnPayer, ...]:
    """Every payer of a person, the first first."""
    found = payers_of(connection, holder)
    history = connection.execute(
        select(cardholder_payer.c.payer_id, cardholder_payer.c.valid_from)
        .where(cardholder_payer.c.cardholder_id == holder)
        .order_by(cardholder_payer.c.valid_from)
    ).all()
    due = [row.payer_id for row in history if row.valid_from <= moment]
    current = {row.payer_id for row in history if row.valid_from > moment} | set(due[-1:])
    return tuple(_own_payer(connection, holder, each, is_current=each in current) for each in found)


def transactions_for_erasure(
    connection: Connection, holder: CardholderId, payers: Sequence[OwnPayer]
) -> dict[PayerId, list[TransactionId]]:
    """A person's transactions by payer: all of payers of their own, of shared ones those by their cards."""
    return {each.id: _transactions(connection, holder, each) for each in payers}


def forget_person(
    connection: Connection,
    holder: CardholderId,
    transactions: Mapping[PayerId, Collection[TransactionId]],
    moment: datetime,
    scheme: str,
    signer: Signer,
) -> int:
    """Erase details, answers, salts, counters, limits, key, and whose payers these were; how many details.

    The caller holds the payers' locks and has changed their versions.
    """
    erased = 0
    for payer_id, ids in transactions.items():
        ordered = sorted(ids)
        for first in range(0, len(ordered), _IDS_AT_ONCE):
            some = ordered[first : first + _IDS_AT_ONCE]
            erased += erase_details(connection, payer_id, some)
            forget_leaves(connection, payer_id, some, moment, scheme, signer)
    connection.execute(delete(counter).where(counter.c.cardholder_id == holder))
    connection.execute(delete(payer_limit).where(payer_limit.c.cardholder_id == holder))
    connection.execute(delete(cardholder_payer).where(cardholder_payer.c.cardholder_id == holder))
    destroy_key(connection, holder, moment)
    connection.execute(
        update(cardholder_key).where(cardholder_key.c.cardholder_id == holder).values(cardholder_id=None)
    )
    return erased


def forget_cards(connection: Connection, cards: Collection[CardId]) -> None:
    """Keep of these cards that they were erased, and nothing else."""
    if cards:
        # In no order that tells which were erased together.
        hashes = sorted(_card_sha256(card) for card in cards)
        connection.execute(insert(erased_card), [{"card_sha256": each} for each in hashes])


def is_erased_card(connection: Connection, card: CardId) -> bool:
    """Whether there was this card, of somebody who was erased."""
    wanted = select(erased_card.c.card_sha256).where(erased_card.c.card_sha256 == _card_sha256(card))
    return connection.execute(wanted).first() is not None


def _card_sha256(card: CardId) -> bytes:
    # A card's identifier has 122 random bits: nobody comes upon it by trying.
    return sha256(_CARD_CONTEXT + card.bytes).digest()


def _own_payer(
    connection: Connection, holder: CardholderId, payer_id: PayerId, *, is_current: bool
) -> OwnPayer:
    others = select(cardholder_payer.c.cardholder_id).where(
        cardholder_payer.c.payer_id == payer_id, cardholder_payer.c.cardholder_id != holder
    )
    balances = connection.execute(
        select(account.c.unit, account.c.kind, account.c.balance)
        .where(account.c.payer_id == payer_id, account.c.balance != 0, account.c.kind != "points")
        .order_by(account.c.unit, account.c.kind)
    )
    return OwnPayer(
        id=payer_id,
        kind=connection.execute(select(payer.c.kind).where(payer.c.id == payer_id)).scalar_one(),
        is_shared=connection.execute(others).first() is not None,
        is_current=is_current,
        open=tuple((row.unit, row.kind, row.balance) for row in balances),
    )


def _transactions(connection: Connection, holder: CardholderId, own: OwnPayer) -> list[TransactionId]:
    if not own.is_shared:
        # The details of it and no more: what has none is nothing that could be erased.
        rows = connection.execute(
            select(ledger_transaction.c.id).where(ledger_transaction.c.payer_id == own.id)
        )
        return [TransactionId(row.id) for row in rows]
    proof, stored, key = transaction_proof.c, ledger_transaction.c, cardholder_key.c
    by_card = (
        select(proof.transaction_id)
        .join(cardholder_key, key.id == proof.key_id)
        .where(proof.payer_id == own.id, key.cardholder_id == holder)
    )
    undone = select(transfer.c.transaction_id).where(
        transfer.c.payer_id == own.id, transfer.c.reverses_transaction.in_(by_card)
    )
    rated = (
        select(rating.c.transaction_id)
        .join(cardholder_key, key.id == rating.c.key_id)
        .where(rating.c.payer_id == own.id, key.cardholder_id == holder)
    )
    about = select(stored.id).where(
        stored.payer_id == own.id,
        or_(stored.annuls.in_(by_card), *(stored.id.in_(each) for each in (by_card, undone, rated))),
    )
    return [TransactionId(row.id) for row in connection.execute(about)]


def details_kept(connection: Connection, transactions: Mapping[PayerId, Collection[TransactionId]]) -> int:
    """How many of these transactions still have details."""
    kept = transaction_details.c
    count = 0
    for payer_id, ids in transactions.items():
        rows = connection.execute(select(kept.transaction_id).where(kept.payer_id == payer_id)).scalars()
        count += len(set(rows) & set(ids))
    return count
