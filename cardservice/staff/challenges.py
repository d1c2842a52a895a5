"""Challenges of sign-ins: made without being kept, good for two minutes, for one purpose, and once.

Anybody may ask for one, so asking writes nothing. Answering one does, whatever the answer is worth: the same
challenge is never judged twice. Ours: 8 bytes of milliseconds, 16 of chance, 16 of HMAC-SHA-256.
"""

import hmac
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection, delete, insert
from sqlalchemy.exc import IntegrityError

from cardservice.context import Context
from cardservice.keys import secret_of
from cardservice.staff.credential_models import staff_challenge
from cardservice.staff.errors import SignInRefused

VALIDITY = timedelta(minutes=2)
KEY = "staff-challenges"
SIGN_IN = "sign-in"
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
# Another process of the service may have a clock that is a little ahead.
_AHEAD = timedelta(seconds=1)
_TIME_BYTES, _CHANCE_BYTES, _MAC_BYTES = 8, 16, 16


def make(context: Context, purpose: str) -> bytes:
    """A fresh challenge of 40 bytes."""
    stamp = ((context.now() - _EPOCH) // _MILLISECOND).to_bytes(_TIME_BYTES, "big")
    drawn = stamp + secrets.token_bytes(_CHANCE_BYTES)
    return drawn + _mac(context, purpose, drawn)


def spend(context: Context, challenge: bytes, purpose: str) -> None:
    """Use a challenge up. Raises SignInRefused where it is too old, used, for something else or not ours."""
    drawn, mac = challenge[:-_MAC_BYTES], challenge[-_MAC_BYTES:]
    if len(drawn) != _TIME_BYTES + _CHANCE_BYTES or not hmac.compare_digest(
        mac, _mac(context, purpose, drawn)
    ):
        raise SignInRefused("the challenge is none of this service's, or for something else")
    moment = context.now()
    made = _EPOCH + int.from_bytes(drawn[:_TIME_BYTES], "big") * _MILLISECOND
    if not -_AHEAD <= moment - made <= VALIDITY:
        raise SignInRefused("the challenge is too old")
    try:
        with context.database.begin() as connection:
            _use(connection, challenge, made + VALIDITY + _AHEAD, moment)
    except IntegrityError as error:
        raise SignInRefused("the challenge was answered before") from error


def _use(connection: Connection, challenge: bytes, expires_at: datetime, moment: datetime) -> None:
    connection.execute(delete(staff_challenge).where(staff_challenge.c.expires_at < moment))
    values = {"sha256": sha256(challenge).digest(), "expires_at": expires_at}
    connection.execute(insert(staff_challenge).values(**values))


def _mac(context: Context, purpose: str, drawn: bytes) -> bytes:
    key = secret_of(context.keys.store, KEY)
    message = b"citizen-card staff challenge\x00" + purpose.encode() + b"\x00" + drawn
    return hmac.digest(key, message, sha256)[:_MAC_BYTES]
