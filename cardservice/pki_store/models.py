"""Certificates and CRLs of the authorities whose records the service keeps."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, LargeBinary, Table, Text

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
    CheckConstraint("(revoked_at IS NULL) = (revocation_reason IS NULL)", name="revocation"),
)
Index(None, certificate.c.authority, certificate.c.identity)
Index(None, certificate.c.authority, certificate.c.revoked_at)

crl = Table(
    "crl",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("this_update", UtcDateTime, nullable=False),
    Column("next_update", UtcDateTime, nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
)
