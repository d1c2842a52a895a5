"""A record as staff see it: each time it is noted who did, and a protected address is for who says why."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.cardholders.details import PROTECTED
from cardservice.cardholders.records import read_fields
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import Profile, profile_of
from cardservice.ids import CardholderId
from cardservice.ledger.key_ring import KeyRing

# Shown beside what a till shows.
MORE = (Field.BORN_ON, Field.ADDRESS, Field.CONTACT, Field.PREFERENCES, Field.CONSENTS, Field.FLAGS)
# In place of what is not shown.
HIDDEN = "protected"


def show(
    connection: Connection,
    kek: KeyRing,
    holder: CardholderId,
    *,
    actor: str,
    moment: datetime,
    because: str | None = None,
) -> tuple[Profile, Mapping[Field, Any]]:
    """What a till shows of somebody, and what is known besides; that it was read is noted.

    Address and contact of whoever is protected are HIDDEN but to who says why (`because`), which is noted,
    too.
    """
    why = {} if because is None else {"address_because": because}
    record(connection, actor, "cardholder.show", holder, moment, **why)
    return look(connection, kek, holder, because)


def show_photo(
    connection: Connection, kek: KeyRing, holder: CardholderId, *, actor: str, moment: datetime
) -> bytes | None:
    """Somebody's photo alone, a JPEG, or None; that it was seen is noted."""
    record(connection, actor, "cardholder.photo", holder, moment)
    photo: bytes | None = read_fields(connection, kek, holder, [Field.PHOTO]).get(Field.PHOTO)
    return photo


def look(
    connection: Connection, kek: KeyRing, holder: CardholderId, because: str | None = None
) -> tuple[Profile, Mapping[Field, Any]]:
    """The same, for what is shown to nobody."""
    profile, more = profile_of(connection, kek, holder), read_fields(connection, kek, holder, MORE)
    if PROTECTED in more.get(Field.FLAGS, {}) and not because:
        more |= {field: HIDDEN for field in (Field.ADDRESS, Field.CONTACT) if field in more}
    return profile, more
