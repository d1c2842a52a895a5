"""What of quarantine goes: what the cards of an erased person said, and what was dismissed long ago.

The rows stay, with terminal, id, hash and why it was refused: what goes are the bytes, and that they are gone
is said. What stays is encrypted anew where the key has a new version.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, LargeBinary, Row, Select, func, literal, select, update

from cardservice.advices.wire import card_of
from cardservice.ids import CardId
from cardservice.ledger.key_ring import KeyRing
from cardservice.quarantine.models import quarantine
from cardservice.quarantine.service import (
    NOTHING,
    VERSION_BYTES,
    QuarantineUnreadable,
    sealed_entry,
    unsealed_entry,
)

# Ours: who has closed what nobody looked at before its cardholder was erased.
ERASURE, WITH_CARDHOLDER = "erasure", "its cardholder was erased"
_ROWS_AT_ONCE = 500


def forget_cards(connection: Connection, ring: KeyRing, cards: Collection[CardId], moment: datetime) -> int:
    """Erase what messages of these cards say, whoever signed them; how many there were.

    Every message is opened for it: the rows do not say whose they are. One that does not open tells nobody
    anything. By the day alone, as a key is destroyed (`privacy.destroy_key`).
    """
    theirs = {card.bytes for card in cards}
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    found = [
        row.id
        for rows in _portions(connection, _kept())
        for row in rows
        if (entry := _entry_of(ring, row)) is not None and card_of(entry) in theirs
    ]
    own = quarantine.c
    for first in range(0, len(found), _ROWS_AT_ONCE):
        mine = own.id.in_(found[first : first + _ROWS_AT_ONCE])
        closed = update(quarantine).where(mine, own.state == "held")
        connection.execute(
            closed.values(state="dismissed", closed_at=day, closed_by=ERASURE, closed_because=WITH_CARDHOLDER)
        )
        connection.execute(update(quarantine).where(mine).values(sealed=NOTHING))
    return len(found)


def dismissed(before: datetime) -> Select[Any]:
    """Those whose bytes are kept, and that somebody has dismissed before then."""
    return _kept().where(quarantine.c.state == "dismissed", quarantine.c.closed_at < before)


def erase_dismissed(connection: Connection, before: datetime, limit: int = _ROWS_AT_ONCE) -> int:
    """Erase what up to `limit` of them say; how many there were."""
    if connection.dialect.name == "sqlite":
        # What is erased is overwritten in the file, too.
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    rows = connection.execute(dismissed(before).order_by(quarantine.c.id).limit(limit)).all()
    mine = quarantine.c.id.in_([row.id for row in rows])
    connection.execute(update(quarantine).where(mine).values(sealed=NOTHING))
    return len(rows)


def reseal_some(connection: Connection, ring: KeyRing, after: int, limit: int) -> tuple[int, int]:
    """Encrypt up to `limit` anew, those after a number, that are not under the newest version yet.

    How many were, and the number to go on after; 0 where there are no more. What does not open is left.
    """
    own = quarantine.c
    old = _kept().where(_version() != literal(_prefix(ring.newest), LargeBinary), own.id > after)
    rows = connection.execute(old.order_by(own.id).limit(limit)).all()
    done = 0
    for row in rows:
        entry = _entry_of(ring, row)
        if entry is not None:
            same = update(quarantine).where(own.id == row.id, own.sealed == row.sealed)
            done += connection.execute(same.values(sealed=sealed_entry(ring, entry, row.body))).rowcount
    return done, rows[-1].id if rows else 0


def sealed_under(connection: Connection) -> Mapping[int, int]:
    """How many messages are encrypted under each version of the key that encrypts any."""
    kept = _kept().subquery()
    version = func.substr(kept.c.sealed, 1, VERSION_BYTES, type_=LargeBinary)
    rows = connection.execute(select(version, func.count()).group_by(version)).all()
    return {int.from_bytes(row[0], "big"): row[1] for row in rows}


def _kept() -> Select[Any]:
    own = quarantine.c
    return select(own.id, own.body, own.sealed).where(func.length(own.sealed) > 0)


def _version() -> Any:
    return func.substr(quarantine.c.sealed, 1, VERSION_BYTES, type_=LargeBinary)


def _prefix(version: int) -> bytes:
    return version.to_bytes(VERSION_BYTES, "big")


def _portions(connection: Connection, wanted: Select[Any]) -> Iterator[Sequence[Row[Any]]]:
    after = 0
    while True:
        query = wanted.where(quarantine.c.id > after).order_by(quarantine.c.id).limit(_ROWS_AT_ONCE)
        rows = connection.execute(query).all()
        if not rows:
            return
        yield rows
        after = rows[-1].id


def _entry_of(ring: KeyRing, row: Row[Any]) -> bytes | None:
    try:
        return unsealed_entry(ring, row.sealed, row.body, row.id)
    except QuarantineUnreadable:
        return None
