"""Cards by post: the letter beside a card carries a code, and whoever has both activates the card.

A code is told once, when the card is sent, and kept as a keyed hash: a copy of the database activates
nothing.
"""

import hmac
import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select, update

from cardservice.audit.service import record
from cardservice.cards.errors import ActivationRefused
from cardservice.cards.life import put_into_use
from cardservice.cards.models import card_activation
from cardservice.cards.service import AUTHORITY, Card, change_state, require_card
from cardservice.cards.states import CardState
from cardservice.context import Context
from cardservice.errors import StateChangeRefused
from cardservice.ids import CardId
from cardservice.keys import secret_of

# All ours. No letters or digits that look or sound alike; 31 bits, of which five tries are allowed.
ALPHABET = "2345679CFHJKMNPRTWXY"
CODE_CHARACTERS = 8
ATTEMPTS = 5
VALIDITY = timedelta(days=42)
KEY = "card-activation"
_CONTEXT = b"citizen-card activation\x00"


def dispatch(context: Context, card_id: UUID, *, actor: str) -> str:
    """Send a card that is personalised; the code for its letter, which nothing tells again.

    Of a card that was sent already it is a new code, and the former one is void. Raises CardUnknown and
    StateChangeRefused.
    """
    with context.database.begin() as connection:
        return dispatch_on(context, connection, card_id, actor=actor)


def dispatch_on(context: Context, connection: Connection, card_id: UUID, *, actor: str) -> str:
    """The same within the caller's transaction."""
    moment, code = context.now(), _new_code()
    known = require_card(connection, card_id)
    if known.state is not CardState.DISPATCHED:
        if known.state is not CardState.PERSONALISED:
            raise StateChangeRefused(known.id, known.state, CardState.DISPATCHED)
        change_state(connection, known, CardState.DISPATCHED, reason="sent", actor=actor, moment=moment)
    _forget(connection, known.id)
    connection.execute(
        insert(card_activation).values(
            card_id=known.id,
            code_mac=_mac(context, known.id, code),
            expires_at=moment + VALIDITY,
            attempts_left=ATTEMPTS,
        )
    )
    record(connection, actor, "card.code", known.id, moment)
    return f"{code[:4]}-{code[4:]}"


def activate(context: Context, card_id: UUID, code: str, *, actor: str) -> None:
    """Put a card that was sent into use by its letter's code; a wrong code is counted, and noted.

    Raises ActivationRefused, CardUnknown, StateChangeRefused and CardInUse.
    """
    moment = context.now()
    with context.database.begin() as connection:
        known = require_card(connection, card_id)
        left = _tried(context, connection, known, code, moment)
        if left is None:
            _forget(connection, known.id)
            authority = context.authority(AUTHORITY, connection)
            put_into_use(connection, authority, known.id, reason="activated", actor=actor, moment=moment)
            return
        record(connection, actor, "card.code_refused", known.id, moment, attempts_left=left)
    # Only now, so that the attempt stays counted.
    after = f"{left} more attempts" if left else "send a new code (card dispatch)"
    raise ActivationRefused(f"this is not the code of card {card_id}; {after}", left)


def _tried(context: Context, connection: Connection, known: Card, code: str, moment: datetime) -> int | None:
    """None where the code is right; otherwise how many attempts are left. Raises ActivationRefused."""
    if known.state is not CardState.DISPATCHED:
        raise StateChangeRefused(known.id, known.state, CardState.ACTIVE)
    stored = card_activation.c
    # Taken first, in a statement that locks the row: two that try at once use up two.
    taken = connection.execute(
        update(card_activation)
        .where(stored.card_id == known.id, stored.attempts_left > 0)
        .values(attempts_left=stored.attempts_left - 1)
    )
    if taken.rowcount == 0:
        raise ActivationRefused(f"the code of card {known.id} is used up; send a new one (card dispatch)")
    row = connection.execute(select(card_activation).where(stored.card_id == known.id)).one()
    if moment >= row.expires_at:
        raise ActivationRefused(f"the code of card {known.id} is too old; send a new one (card dispatch)")
    right = hmac.compare_digest(row.code_mac, _mac(context, known.id, _plain(code)))
    return None if right else int(row.attempts_left)


def _forget(connection: Connection, card_id: CardId) -> None:
    connection.execute(delete(card_activation).where(card_activation.c.card_id == card_id))


def _new_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS))


def _plain(code: str) -> str:
    """As it was drawn, however somebody has typed it."""
    return "".join(code.upper().replace("-", " ").split())


def _mac(context: Context, card_id: CardId, code: str) -> bytes:
    key = secret_of(context.keys.store, KEY)
    return hmac.digest(key, _CONTEXT + card_id.bytes + code.encode("utf-8", "replace"), sha256)
