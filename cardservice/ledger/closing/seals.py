"""The daily seal: a Merkle tree over the day's entries, whose signed head names the one before."""

import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, Row, and_, func, insert, select, tuple_, update

from cardservice.database import Database
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.closing.leaves import SALT_BYTES, entries
from cardservice.ledger.closing.merkle import leaf_hash, root_of
from cardservice.ledger.closing.models import day_seal, ledger_sequence, sealed_leaf
from cardservice.ledger.closing.sequencing import (
    SHARD,
    Calendar,
    Position,
    lock_position,
    sequence,
    store_position,
)
from cardservice.ledger.errors import DayNotOver
from pki.statements import LeafTombstone, TreeHead, sign_tombstone, sign_tree_head
from pki.statements.cose import decode_sign1

_LEAVES_AT_ONCE = 1_000
_ONE_DAY = timedelta(days=1)


class Signer(Protocol):
    """Who signs heads: the service, with the key that it signs its answers with."""

    @property
    def answer_key(self) -> ec.EllipticCurvePrivateKey:
        """The key."""

    @property
    def answer_certificate_sha256(self) -> bytes:
        """The thumbprint of its certificate."""


@dataclass(frozen=True, slots=True)
class Seal:
    """A day's tree as it was sealed; `signed` is the published head."""

    shard: int
    number: int
    epoch: int
    day: date
    after_sequence: int
    size: int
    root: bytes
    signed: bytes
    sealed_at: datetime

    @property
    def last_sequence(self) -> int:
        """The day's last entry."""
        return self.after_sequence + self.size


def seal_days(
    database: Database,
    calendar: Calendar,
    scheme: str,
    signer: Signer,
    *,
    through: date | None = None,
    shard: int = SHARD,
) -> list[Seal]:
    """Seal each day that is over and not sealed, through this one; what was sealed.

    Numbers first what can be numbered. What commits later settles on a later day. Raises DayNotOver and
    SequenceHeld.
    """
    yesterday = calendar.today - _ONE_DAY
    through = yesterday if through is None else through
    if through > yesterday:
        raise DayNotOver(f"{through} is not over; the latest day that can be sealed is {yesterday}")
    sequence(database, calendar, shard=shard)
    sealed: list[Seal] = []
    while True:
        with database.begin() as connection:
            position = lock_position(connection, shard)
            found = _next_unsealed(connection, position, through)
            if found is None:
                return sealed
            epoch, day, after = found
            sealed.append(_seal(connection, shard, epoch, day, after, scheme, signer, calendar.now))
            if position.open_day <= day:
                store_position(connection, replace(position, open_day=day + _ONE_DAY))


def read_seals(connection: Connection, shard: int = SHARD, after: int = 0) -> Iterator[Seal]:
    """The seals after this number, in the order of the chain."""
    query = select(day_seal).where(day_seal.c.shard == shard, day_seal.c.number > after)
    for row in connection.execute(query.order_by(day_seal.c.number)):
        yield Seal(*row)


def last_seal(connection: Connection, shard: int = SHARD) -> Seal | None:
    """The newest seal."""
    query = select(day_seal).where(day_seal.c.shard == shard).order_by(day_seal.c.number.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else Seal(*row)


def forget_leaves(
    connection: Connection,
    payer_id: PayerId,
    transaction_ids: Collection[TransactionId],
    moment: datetime,
    scheme: str,
    signer: Signer,
) -> int:
    """Erase the salts of these transactions' leaves, for good, and sign for each; how many there were.

    The tree stays as it is, and nobody can tell any more what those leaves were of. What has not been sealed
    yet is sealed at its day, and can be forgotten then.
    """
    leaf, entry = sealed_leaf.c, ledger_sequence.c
    same = and_(leaf.shard == entry.shard, leaf.epoch == entry.epoch, leaf.sequence == entry.sequence)
    theirs = connection.execute(
        select(leaf.shard, leaf.epoch, leaf.sequence, leaf.hash)
        .select_from(ledger_sequence.join(sealed_leaf, same))
        .where(entry.payer_id == payer_id, entry.transaction_id.in_(transaction_ids))
        .where(leaf.salt.is_not(None))
    ).all()
    for row in theirs:
        tombstone = LeafTombstone(
            scheme=scheme,
            shard=row.shard,
            epoch=row.epoch,
            sequence=row.sequence,
            leaf=row.hash,
            day=moment.date(),
        )
        signed = sign_tombstone(tombstone, signer.answer_key, signer.answer_certificate_sha256)
        connection.execute(
            update(sealed_leaf)
            .where(leaf.shard == row.shard, leaf.epoch == row.epoch, leaf.sequence == row.sequence)
            .where(leaf.salt.is_not(None))
            .values(salt=None, erased_at=moment, tombstone=signed)
        )
    return len(theirs)


def _next_unsealed(connection: Connection, position: Position, through: date) -> tuple[int, date, int] | None:
    """The epoch, day and last sealed entry before it of what is to be sealed next."""
    newest = last_seal(connection, position.shard)
    entry = ledger_sequence.c
    epoch, after = (0, 0) if newest is None else (newest.epoch, newest.last_sequence)
    first: Row[int, date] | None = connection.execute(
        select(entry.epoch, entry.settled_on)
        .where(
            entry.shard == position.shard,
            tuple_(entry.epoch, entry.sequence) > tuple_(epoch, after),
        )
        .order_by(entry.epoch, entry.sequence)
        .limit(1)
    ).one_or_none()
    if newest is not None and (first is None or first.settled_on > newest.day + _ONE_DAY):
        # A day without entries has its seal, too: the chain has one for each.
        found = (position.epoch if first is None else first.epoch, newest.day + _ONE_DAY)
    elif first is not None:
        found = (first.epoch, first.settled_on)
    else:
        return None
    return None if found[1] > through else (*found, after if found[0] == epoch else 0)


def _seal(
    connection: Connection,
    shard: int,
    epoch: int,
    day: date,
    after: int,
    scheme: str,
    signer: Signer,
    moment: datetime,
) -> Seal:
    last = _last_of_day(connection, shard, epoch, day, after)
    root = root_of(_make_leaves(connection, shard, epoch, after, last))
    newest = last_seal(connection, shard)
    previous = None
    if newest is not None:
        previous = digest_of(newest)
    head = TreeHead(
        scheme=scheme,
        shard=shard,
        number=1 if newest is None else newest.number + 1,
        epoch=epoch,
        day=day,
        after_sequence=after,
        size=last - after,
        root=root,
        previous=previous,
        time=moment,
    )
    signed = sign_tree_head(head, signer.answer_key, signer.answer_certificate_sha256)
    made = Seal(shard, head.number, epoch, day, after, head.size, root, signed, head.time)
    connection.execute(
        insert(day_seal).values(
            shard=shard,
            number=made.number,
            epoch=epoch,
            day=day,
            after_sequence=after,
            size=made.size,
            root=root,
            signed=signed,
            sealed_at=made.sealed_at,
        )
    )
    return made


def digest_of(seal: Seal) -> bytes:
    """What the next head names as the one before it; the signature is not looked at."""
    return sha256(decode_sign1(seal.signed).payload).digest()


def _last_of_day(connection: Connection, shard: int, epoch: int, day: date, after: int) -> int:
    entry = ledger_sequence.c
    query = select(func.coalesce(func.max(entry.sequence), after)).where(
        and_(entry.shard == shard, entry.epoch == epoch, entry.settled_on == day)
    )
    return int(connection.execute(query).scalar_one())


def _make_leaves(connection: Connection, shard: int, epoch: int, after: int, last: int) -> Iterator[bytes]:
    """The leaves' hashes, each stored with its salt."""
    made: list[dict[str, object]] = []
    for entry in entries(connection, shard, epoch, after, last):
        salt = secrets.token_bytes(SALT_BYTES)
        hashed = leaf_hash(salt + (entry.sealed or b""))
        made.append(
            {
                "shard": shard,
                "epoch": epoch,
                "sequence": entry.sequence,
                "salt": salt,
                "hash": hashed,
                "details_sha256": entry.details_sha256,
            }
        )
        if len(made) == _LEAVES_AT_ONCE:
            connection.execute(insert(sealed_leaf), made)
            made = []
        yield hashed
    if made:
        connection.execute(insert(sealed_leaf), made)
