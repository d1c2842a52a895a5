"""What staff sign in with over HTTP, and their sessions."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
)

from cardservice.database import UtcDateTime, metadata
from cardservice.staff.models import staff

# Challenges that were answered: each is good for once. Gone when it would be too old anyway.
staff_challenge = Table(
    "staff_challenge",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
)

staff_session = Table(
    "staff_session",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("staff_id", Text, ForeignKey(staff.c.id), nullable=False),
    # Of the bearer token, which is told once.
    Column("token_sha256", LargeBinary, nullable=False, unique=True),
    Column("method", Text, nullable=False),
    # Of a browser's session, which comes as a cookie, from pages of this origin alone.
    Column("origin", Text, nullable=True),
    Column("began_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=True),
    Column("ended_by", Text, nullable=True),
    CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended"),
)
Index(None, staff_session.c.staff_id, staff_session.c.ends_at)

staff_passkey = Table(
    "staff_passkey",
    metadata,
    # What the authenticator calls it (WebAuthn, 4: credential ID).
    Column("credential_id", LargeBinary, primary_key=True),
    Column("id", Uuid, nullable=False, unique=True),
    Column("staff_id", Text, ForeignKey(staff.c.id), nullable=False, index=True),
    Column("name", Text, nullable=False),
    # As the authenticator gave it: AAGUID, credential ID, COSE key (WebAuthn, 6.5.1).
    Column("attested", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime, nullable=True),
)

# A password with the second factor beside it; one that is not confirmed by a code yet opens nothing.
staff_password = Table(
    "staff_password",
    metadata,
    Column("staff_id", Text, ForeignKey(staff.c.id), primary_key=True),
    Column(
        "state", Text, CheckConstraint("state IN ('pending', 'in_force')", name="state"), primary_key=True
    ),
    Column("argon2id", Text, nullable=False),
    Column("sealed_totp", LargeBinary, nullable=False),
    # The step of the last code that was taken: none of it or before is taken again (RFC 6238, 5.2).
    Column("last_step", BigInteger, nullable=False),
    Column("wrong", SmallInteger, nullable=False),
    Column("locked_until", UtcDateTime, nullable=True),
    Column("changed_at", UtcDateTime, nullable=False),
)

# A code with which somebody sets up what they will sign in with; of a recovery two people hold half each.
staff_enrolment = Table(
    "staff_enrolment",
    metadata,
    Column("staff_id", Text, ForeignKey(staff.c.id), primary_key=True),
    Column("first_mac", LargeBinary, nullable=False),
    Column("second_mac", LargeBinary, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("attempts_left", SmallInteger, nullable=False),
)

# What a request with an Idempotency-Key came to, for when it is sent again.
staff_request = Table(
    "staff_request",
    metadata,
    Column("staff_id", Text, ForeignKey(staff.c.id), primary_key=True),
    Column("key", Text, primary_key=True),
    # HMAC-SHA-256 of what was asked
    Column("request_sha256", LargeBinary, nullable=False),
    # Identifiers alone: nothing of a person's record.
    Column("answer", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False, index=True),
)
