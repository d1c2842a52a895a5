"""Accounts that are being closed, or were."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Table, Text, Uuid

from cardservice.cardholders.models import cardholder
from cardservice.database import UtcDateTime, metadata

account_closing = Table(
    "account_closing",
    metadata,
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), primary_key=True),
    Column(
        "why", Text, CheckConstraint("why IN ('asked', 'deceased', 'dormant')", name="why"), nullable=False
    ),
    Column("begun_by", Text, nullable=False),
    # When a dormant holder was told that it will be closed
    Column("told_at", UtcDateTime, nullable=True),
    # Their cards were stopped then, and what they have goes back
    Column("stopped_at", UtcDateTime, nullable=True),
    # Nothing was left then
    Column("ended_at", UtcDateTime, nullable=True),
    CheckConstraint("(why = 'dormant') = (told_at IS NOT NULL)", name="told"),
    CheckConstraint("why = 'dormant' OR stopped_at IS NOT NULL", name="stopped"),
    CheckConstraint("ended_at IS NULL OR stopped_at IS NOT NULL", name="ended"),
)
