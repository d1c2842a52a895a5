"""A password with a code from an app beside it: for who has neither a staff card nor a passkey at hand.

Neither counts alone. The password is kept as Argon2id (RFC 9106) under a key of the service's, the app's
secret sealed under another: a copy of the database signs nobody in, and cannot be tried out. Five wrong ones
in a row close this way for a quarter of an hour; cards and passkeys stay open.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, Row, delete, insert, select, update

from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.keys import secret_of
from cardservice.staff import totp
from cardservice.staff.credential_models import staff_password
from cardservice.staff.errors import CredentialRefused, SignInRefused
from cardservice.staff.service import Person, find_person

# NIST SP 800-63B-4, 3.1.1.2: at least 8 beside a second factor, at least 64 allowed; no rules what is in it.
MIN_PASSWORD, MAX_PASSWORD = 12, 128
MOST_WRONG, LOCKED_FOR = 5, timedelta(minutes=15)  # ours
KEY = "staff-passwords"
_PENDING, _IN_FORCE = "pending", "in_force"
# As for PINs of members (`circulation.pins`): OWASP's least.
_MEMORY_KIB, _PASSES, _LANES, _SALT_BYTES, _TAG_BYTES = 19 * 1024, 2, 1, 16, 32
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True, repr=False)
class Begun:
    """What goes into the authenticator app; it is told once."""

    secret: str
    address: str


def begin(context: Context, person: Person, password: str) -> Begun:
    """Keep a password with a fresh secret for codes, until a code shows that the app has it.

    What was in force before is so until then. Raises CredentialRefused.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise CredentialRefused(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    if len(set(password)) < MIN_PASSWORD // 2 or person.id in password.lower():
        raise CredentialRefused(
            "a password neither repeats a few characters nor has the account's name in it"
        )
    secret = secrets.token_bytes(totp.SECRET_BYTES)
    own = staff_password.c
    with context.database.begin() as connection:
        connection.execute(delete(staff_password).where(own.staff_id == person.id, own.state == _PENDING))
        connection.execute(
            insert(staff_password).values(
                staff_id=person.id,
                state=_PENDING,
                argon2id=_argon(context).derive_phc_encoded(password.encode()),
                sealed_totp=_seal(context, person.id, secret),
                last_step=0,
                wrong=0,
                changed_at=context.now(),
            )
        )
    return Begun(totp.as_text(secret), totp.address_of(secret, context.scheme.name, person.id))


def confirm(context: Context, person: Person, code: str) -> None:
    """Put what was begun in force, by a code of the app. Raises CredentialRefused."""
    own, moment = staff_password.c, context.now()
    with context.database.begin() as connection:
        row = _locked(connection, person.id, _PENDING)
        if row is None or row.wrong >= MOST_WRONG:
            raise CredentialRefused("no password waits for a code; begin again with a password")
        step = totp.step_of(_open(context, person.id, row.sealed_totp), code, moment, row.last_step)
        pending = update(staff_password).where(own.staff_id == person.id, own.state == _PENDING)
        if step is None:
            connection.execute(pending.values(wrong=row.wrong + 1))
        else:
            connection.execute(
                delete(staff_password).where(own.staff_id == person.id, own.state == _IN_FORCE)
            )
            connection.execute(pending.values(state=_IN_FORCE, last_step=step, wrong=0))
            record(connection, person.actor, "staff.password_set", person.id, moment)
    if step is None:
        raise CredentialRefused("this is not the code of now; look at the app's clock, and try again")


def sign_in(context: Context, staff_id: str, password: str, code: str) -> Person:
    """Who knows the password and has the app. Raises SignInRefused.

    It takes as long, and reads the same to them, where there is no such account.
    """
    row = _attempt(context, staff_id)
    is_right = _is_right(context, password, None if row is None else row.argon2id)
    if row is None:
        raise SignInRefused("no password, or closed for a while after wrong ones")
    step = totp.step_of(_open(context, staff_id, row.sealed_totp), code, context.now(), row.last_step)
    if not is_right or step is None:
        raise SignInRefused("wrong password or code, or a code that was used", staff_id)
    own = staff_password.c
    with context.database.begin() as connection:
        person = find_person(connection, staff_id)
        # Two with the same code at once: one of them is late.
        taken = connection.execute(
            update(staff_password)
            .where(own.staff_id == staff_id, own.state == _IN_FORCE, own.last_step < step)
            .values(last_step=step, wrong=0, locked_until=None)
        )
        if person is None or not person.is_active or not taken.rowcount:
            raise SignInRefused("disabled, or a code that was used", staff_id)
    return person


def has_password(connection: Connection, staff_id: str) -> bool:
    """Whether somebody has one in force."""
    own = staff_password.c
    wanted = select(own.staff_id).where(own.staff_id == staff_id, own.state == _IN_FORCE)
    return connection.execute(wanted).first() is not None


def forget(connection: Connection, staff_id: str, *, actor: str, moment: datetime) -> None:
    """Let nobody sign in with somebody's password any more."""
    gone = connection.execute(delete(staff_password).where(staff_password.c.staff_id == staff_id))
    if gone.rowcount:
        record(connection, actor, "staff.password_remove", staff_id, moment)


def _attempt(context: Context, staff_id: str) -> Row[tuple[object, ...]] | None:
    """What is kept of somebody, with this attempt counted as wrong first: those at once use up as many."""
    own, moment = staff_password.c, context.now()
    with context.database.begin() as connection:
        row = _locked(connection, staff_id, _IN_FORCE)
        if row is None or (row.locked_until is not None and moment < row.locked_until):
            return None
        wrong = row.wrong + 1
        closes = wrong >= MOST_WRONG
        connection.execute(
            update(staff_password)
            .where(own.staff_id == staff_id, own.state == _IN_FORCE)
            .values(wrong=0 if closes else wrong, locked_until=moment + LOCKED_FOR if closes else None)
        )
    return row


def _locked(connection: Connection, staff_id: str, state: str) -> Row[tuple[object, ...]] | None:
    own = staff_password.c
    wanted = select(staff_password).where(own.staff_id == staff_id, own.state == state)
    return connection.execute(wanted.with_for_update()).one_or_none()


def _is_right(context: Context, password: str, stored: str | None) -> bool:
    given = password.encode("utf-8", "surrogatepass")[: 4 * MAX_PASSWORD]
    try:
        Argon2id.verify_phc_encoded(given, stored or _NOBODYS, _pepper(context))
    except InvalidKey:
        return False
    return stored is not None


def _argon(context: Context) -> Argon2id:
    return Argon2id(
        salt=secrets.token_bytes(_SALT_BYTES),
        length=_TAG_BYTES,
        iterations=_PASSES,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
        secret=_pepper(context),
    )


def _pepper(context: Context) -> bytes:
    return _derived(context, b"passwords")


def _derived(context: Context, use: bytes) -> bytes:
    master = secret_of(context.keys.store, KEY)
    return HKDF(SHA256(), 32, salt=None, info=b"citizen-card staff " + use).derive(master)


def _seal(context: Context, staff_id: str, secret: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCMSIV(_derived(context, b"codes")).encrypt(nonce, secret, staff_id.encode())


def _open(context: Context, staff_id: str, sealed: bytes) -> bytes:
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    return AESGCMSIV(_derived(context, b"codes")).decrypt(nonce, ciphertext, staff_id.encode())


# What a password is compared with where there is none: it takes as long, and none is right.
_NOBODYS = Argon2id(
    salt=bytes(_SALT_BYTES),
    length=_TAG_BYTES,
    iterations=_PASSES,
    lanes=_LANES,
    memory_cost=_MEMORY_KIB,
    secret=secrets.token_bytes(32),
).derive_phc_encoded(secrets.token_bytes(32))
