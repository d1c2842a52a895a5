"""Tariffs as loaded: each version is kept, so that a decision can be explained years later."""

from sqlalchemy import Column, Index, Table, Text

from cardservice.database import UtcDateTime, metadata

tariff = Table(
    "tariff",
    metadata,
    Column("service", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("valid_from", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    # JSON, as text: the very characters that its version was computed from.
    Column("content", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("actor", Text, nullable=False),
)
Index(None, tariff.c.service, tariff.c.valid_from)
