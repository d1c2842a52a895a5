"""Codes with which somebody sets up what they will sign in with: the first time, and after all was lost.

The first code one administrator gives. Where somebody has something to sign in with already, it takes two,
and each of them gets half of the code: neither can come in as that person, and the person needs both.
"""

import hmac
import secrets
from datetime import timedelta
from hashlib import sha256

from sqlalchemy import Connection, delete, insert, select, update

from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.keys import secret_of
from cardservice.staff import passkeys, passwords
from cardservice.staff.credential_models import staff_enrolment, staff_passkey
from cardservice.staff.ending import end_all
from cardservice.staff.errors import SignInRefused
from cardservice.staff.service import Person, find_person, require_person

# All ours. No letters or digits that look or sound alike; 43 bits a half, of which five tries are allowed.
ALPHABET = "2345679CFHJKMNPRTWXY"
HALF_CHARACTERS, ATTEMPTS = 10, 5
VALIDITY = timedelta(days=3)
KEY = "staff-enrolments"


def new_half() -> str:
    """Half a code."""
    return "".join(secrets.choice(ALPHABET) for _ in range(HALF_CHARACTERS))


def invite(context: Context, connection: Connection, staff_id: str, *, actor: str) -> str:
    """The code for somebody who has nothing to sign in with yet. Raises StaffUnknown and OrderInvalid."""
    known = require_person(connection, staff_id)
    if not known.is_active:
        raise OrderInvalid(f"{staff_id} is disabled: enable the account first")
    if passkeys.list_passkeys(connection, staff_id) or passwords.has_password(connection, staff_id):
        raise OrderInvalid(
            f"{staff_id} has something to sign in with; if it is lost: staff recover {staff_id}"
        )
    first, second = new_half(), new_half()
    _keep(context, connection, staff_id, _mac(context, staff_id, first), second)
    record(connection, actor, "staff.invite", staff_id, context.now())
    return f"{first}-{second}"


def recover(context: Context, connection: Connection, staff_id: str, first_mac: bytes, *, actor: str) -> str:
    """Take away what somebody signs in with, passkeys and password; the second half of a code for new ones.

    `first_mac` is of the half that whoever asked for it was told (`half_mac`). Certificates stay: whoever has
    lost a card is enrolled anew. Raises StaffUnknown and OrderInvalid.
    """
    known, moment = require_person(connection, staff_id), context.now()
    if known.actor == actor:
        raise OrderInvalid("nobody agrees to what they are themselves recovered by")
    connection.execute(delete(staff_passkey).where(staff_passkey.c.staff_id == staff_id))
    passwords.forget(connection, staff_id, actor=actor, moment=moment)
    end_all(connection, staff_id, actor=actor, moment=moment)
    second = new_half()
    _keep(context, connection, staff_id, first_mac, second)
    record(connection, actor, "staff.recover", staff_id, moment)
    return second


def half_mac(context: Context, staff_id: str, half: str) -> bytes:
    """What is kept of half a code."""
    return _mac(context, staff_id, half)


def sign_in(context: Context, staff_id: str, code: str) -> Person:
    """Whoever has the whole code, which is used up with that. Raises SignInRefused."""
    own, plain = staff_enrolment.c, "".join(code.upper().replace("-", " ").split())
    first, second = plain[:HALF_CHARACTERS], plain[HALF_CHARACTERS:]
    person = None
    with context.database.begin() as connection:
        # Taken first, in a statement that locks the row: two that try at once use up two.
        taken = connection.execute(
            update(staff_enrolment)
            .where(own.staff_id == staff_id, own.attempts_left > 0, own.expires_at > context.now())
            .values(attempts_left=own.attempts_left - 1)
        )
        if taken.rowcount:
            row = connection.execute(select(staff_enrolment).where(own.staff_id == staff_id)).one()
            halves = [
                hmac.compare_digest(row.first_mac, _mac(context, staff_id, first)),
                hmac.compare_digest(row.second_mac, _mac(context, staff_id, second)),
            ]
            if all(halves):
                connection.execute(delete(staff_enrolment).where(own.staff_id == staff_id))
                person = find_person(connection, staff_id)
    if person is None or not person.is_active:
        # Only now, so that the attempt stays counted.
        raise SignInRefused("not the enrolment code, or too old, or tried too often")
    return person


def _keep(context: Context, connection: Connection, staff_id: str, first_mac: bytes, second: str) -> None:
    connection.execute(delete(staff_enrolment).where(staff_enrolment.c.staff_id == staff_id))
    connection.execute(
        insert(staff_enrolment).values(
            staff_id=staff_id,
            first_mac=first_mac,
            second_mac=_mac(context, staff_id, second),
            expires_at=context.now() + VALIDITY,
            attempts_left=ATTEMPTS,
        )
    )


def _mac(context: Context, staff_id: str, half: str) -> bytes:
    key = secret_of(context.keys.store, KEY)
    message = b"citizen-card staff enrolment\x00" + staff_id.encode("utf-8", "surrogatepass") + b"\x00"
    return hmac.digest(key, message + half.encode("utf-8", "surrogatepass"), sha256)
