"""The UIDs of cards: what the desk reads when it makes one, and the map of a status list is made of."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.sql import ColumnElement

from cardservice.cards.models import card_uid
from cardservice.cards.service import require_card
from cardservice.cards.states import CardState
from cardservice.errors import UidRefused
from cardservice.ids import CardId
from pki.status_list.allocation import LIST_SIZE

# ISO/IEC 14443-3:2018, 6.5.4: single, double and triple
UID_BYTES = (4, 7, 10)
# The same, table 7: a single UID that begins so is drawn anew each time the card is powered
_DRAWN = b"\x08"


def record_uid(
    connection: Connection, card_id: CardId, uid: bytes, status_index: int, moment: datetime
) -> None:
    """Keep the UID of a card that is handed over.

    The chip of a card that was revoked may have become this one: then it is this one alone. Raises
    UidRefused.
    """
    if len(uid) not in UID_BYTES or (len(uid) == UID_BYTES[0] and uid.startswith(_DRAWN)):
        raise UidRefused("this is no UID that a card keeps; report the card without one")
    holder = connection.scalar(select(card_uid.c.card_id).where(card_uid.c.uid == uid))
    if holder is not None:
        if require_card(connection, CardId(holder)).state is not CardState.REVOKED:
            raise UidRefused("another card that may still be used has this UID; revoke that card first")
        connection.execute(delete(card_uid).where(card_uid.c.uid == uid))
    connection.execute(
        insert(card_uid).values(card_id=card_id, uid=uid, status_index=status_index, recorded_at=moment)
    )


def uids_recorded(connection: Connection, number: int, before: datetime) -> Iterator[tuple[bytes, int]]:
    """Each UID with the place of its card, of one status list, that was recorded before this moment."""
    columns = card_uid.c
    rows = connection.execute(select(columns.uid, columns.status_index).where(*_of_list(number, before)))
    for row in rows:
        yield bytes(row.uid), row.status_index


def last_recorded(connection: Connection, number: int, before: datetime) -> datetime | None:
    """When the last of them was recorded."""
    found: datetime | None = connection.scalar(
        select(func.max(card_uid.c.recorded_at)).where(*_of_list(number, before))
    )
    return found


def _of_list(number: int, before: datetime) -> tuple[ColumnElement[bool], ...]:
    first = number * LIST_SIZE
    columns = card_uid.c
    return (
        columns.recorded_at < before,
        columns.status_index >= first,
        columns.status_index < first + LIST_SIZE,
    )
