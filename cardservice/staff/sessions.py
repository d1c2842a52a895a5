"""Sessions of staff over HTTP: a random token, of which a hash is kept, until it idles, ends or is ended.

A program carries the token in `Authorization`; a browser has it as a cookie that no script reads and no other
site sends, and its session is for pages of the one origin. Neither takes the other's place.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update

from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.ids import new_random_id
from cardservice.staff.credential_models import staff_session
from cardservice.staff.errors import SessionInvalid, SessionUnknown
from cardservice.staff.service import OfStaff, Person, find_person

# All ours. NIST SP 800-63B-4, 2.2.3: at most an hour without activity, at most a day in all
IDLE, ABSOLUTE = timedelta(minutes=30), timedelta(hours=10)
ENROLLING = timedelta(minutes=15)
# How exactly it is known when a session was last used: each request would be a write otherwise.
_SEEN_AGAIN = timedelta(minutes=1)
_TOKEN_BYTES = 32
CERTIFICATE, PASSKEY, PASSWORD, ENROLMENT = "certificate", "passkey", "password", "enrolment"
_OVER = "this session is over, or never was; sign in again"


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its owner sees it."""

    id: UUID
    staff_id: str
    method: str
    # The origin of a browser's; None: the token is a program's.
    origin: str | None
    began_at: datetime
    seen_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class SignedIn(OfStaff):
    """Somebody who has signed in."""

    session: Session


def begin(context: Context, person: Person, method: str, *, in_browser: bool) -> tuple[str, Session]:
    """A session for somebody who has shown who they are; its token, which is told once."""
    token, moment = secrets.token_urlsafe(_TOKEN_BYTES), context.now()
    origin = context.settings.public_origin if in_browser else None
    lasting = ENROLLING if method == ENROLMENT else ABSOLUTE
    made = Session(new_random_id(), person.id, method, origin, moment, moment, moment + lasting)
    with context.database.begin() as connection:
        connection.execute(
            insert(staff_session).values(
                id=made.id,
                staff_id=made.staff_id,
                token_sha256=_hash(token),
                method=method,
                origin=origin,
                began_at=moment,
                seen_at=moment,
                ends_at=made.ends_at,
            )
        )
        record(connection, person.actor, "staff.sign_in", person.id, moment, method=method)
    return token, made


def find(context: Context, token: str, *, from_cookie: bool) -> SignedIn:
    """Who goes on with a session. Raises SessionInvalid."""
    moment, hashed = context.now(), _hash(token)
    with context.database.reading() as connection:
        row = connection.execute(
            select(staff_session).where(staff_session.c.token_sha256 == hashed)
        ).one_or_none()
        person = None if row is None else find_person(connection, row.staff_id)
    if row is None or person is None or not hmac.compare_digest(row.token_sha256, hashed):
        raise SessionInvalid(_OVER)
    if not _goes_on(row, moment) or not person.is_active or from_cookie is (row.origin is None):
        raise SessionInvalid(_OVER)
    if moment - row.seen_at >= _SEEN_AGAIN:
        with context.database.begin() as connection:
            connection.execute(
                update(staff_session).where(staff_session.c.id == row.id).values(seen_at=moment)
            )
    return SignedIn(person, _session(row))


def list_sessions(connection: Connection, staff_id: str, moment: datetime) -> list[Session]:
    """Those of somebody that go on, the newest first."""
    own = staff_session.c
    rows = connection.execute(
        select(staff_session)
        .where(own.staff_id == staff_id, own.ended_at.is_(None), own.ends_at > moment)
        .order_by(own.began_at.desc(), own.id)
    )
    return [_session(row) for row in rows if _goes_on(row, moment)]


def owner_of(connection: Connection, session_id: UUID) -> str:
    """Whose session this is. Raises SessionUnknown."""
    found: str | None = connection.scalar(
        select(staff_session.c.staff_id).where(staff_session.c.id == session_id)
    )
    if found is None:
        raise SessionUnknown(session_id)
    return found


def end(connection: Connection, session_id: UUID, *, actor: str, moment: datetime) -> None:
    """End a session; one that has ended stays so. Raises SessionUnknown."""
    owner, own = owner_of(connection, session_id), staff_session.c
    ended = connection.execute(
        update(staff_session)
        .where(own.id == session_id, own.ended_at.is_(None))
        .values(ended_at=moment, ended_by=actor)
    )
    if ended.rowcount:
        record(connection, actor, "staff.sign_out", owner, moment, session=str(session_id))


def _goes_on(row: Row[tuple[object, ...]], moment: datetime) -> bool:
    return row.ended_at is None and moment < row.ends_at and moment - row.seen_at < IDLE


def _session(row: Row[tuple[object, ...]]) -> Session:
    return Session(row.id, row.staff_id, row.method, row.origin, row.began_at, row.seen_at, row.ends_at)


def _hash(token: str) -> bytes:
    """Of 256 bits of chance a plain hash is enough: nobody guesses it."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
