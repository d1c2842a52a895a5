"""Certificates, revocation lists and trail of the authorities whose records the service keeps."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from cardservice.database import UtcDateTime, metadata

certificate = Table(
    "certificate",
    metadata,
    Column("authority", Text, primary_key=True),
    # Hexadecimal: RFC 5280, 4.1.2.2 allows 20 octets, more than any integer column holds.
    Column("serial", Text, primary_key=True),
    Column("profile", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime, nullable=True),
    Column("revocation_reason", Text, nullable=True),
    # Which of the authority's keys has signed it
    Column("issuer", Text, nullable=False),
    # The card's place in the status list, and the shard of the revocation list that the certificate names
    Column("status_index", BigInteger, nullable=True),
    Column("shard", BigInteger, nullable=True),
    # When it was last revoked, held or released
    Column("status_changed_at", UtcDateTime, nullable=True),
    CheckConstraint("(revoked_at IS NULL) = (revocation_reason IS NULL)", name="revocation"),
)
# The newest of a card's or terminal's own comes first, without sorting.
Index(None, certificate.c.authority, certificate.c.identity, certificate.c.issued_at)
Index(None, certificate.c.authority, certificate.c.revoked_at)
Index(
    None,
    certificate.c.authority,
    certificate.c.issuer,
    certificate.c.shard,
    sqlite_where=certificate.c.revoked_at.is_not(None),
    postgresql_where=certificate.c.revoked_at.is_not(None),
)
Index(None, certificate.c.authority, certificate.c.status_changed_at)

crl = Table(
    "crl",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("this_update", UtcDateTime, nullable=False),
    Column("next_update", UtcDateTime, nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("issuer", Text, nullable=False),
    # None: of everything that the issuer has signed
    Column("shard", BigInteger, nullable=True),
    # Of a delta list: the number of the list that it follows
    Column("base_number", BigInteger, nullable=True),
)

# The places in the status list
status_index = Table(
    "status_index",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("identity", Text, nullable=False),
    UniqueConstraint("authority", "identity"),
    CheckConstraint("position >= 0", name="place"),
)

# What was done, each entry bound to the one before (`pki.trail`); only ever added to
trail = Table(
    "pki_trail",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("operation", Text, nullable=False),
    # JSON exactly as it was hashed
    Column("detail", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    CheckConstraint("sequence > 0", name="order"),
)
trail_head = Table(
    "pki_trail_head",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
)
