"""Sessions that end with what they rest on: an account, a certificate, all that somebody signs in with."""

from datetime import datetime

from sqlalchemy import Connection, update

from cardservice.audit.service import record
from cardservice.staff.credential_models import staff_session


def end_all(
    connection: Connection, staff_id: str, *, actor: str, moment: datetime, method: str | None = None
) -> int:
    """End the sessions of somebody that go on, of one way to sign in alone or all; how many."""
    own = staff_session.c
    ending = update(staff_session).where(own.staff_id == staff_id, own.ended_at.is_(None))
    if method is not None:
        ending = ending.where(own.method == method)
    count: int = connection.execute(ending.values(ended_at=moment, ended_by=actor)).rowcount
    if count:
        record(connection, actor, "staff.sign_out", staff_id, moment, sessions=count)
    return count
