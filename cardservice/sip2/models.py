"""The accounts that machines log in with: each has its own place, password and dialect."""

from sqlalchemy import Column, Table, Text

from cardservice.database import JsonDocument, UtcDateTime, metadata

account = Table(
    "sip2_account",
    metadata,
    Column("name", Text, primary_key=True),
    # As a member's PIN is kept.
    Column("password", Text, nullable=False),
    Column("institution", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("profile", JsonDocument, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime, nullable=True),
)
