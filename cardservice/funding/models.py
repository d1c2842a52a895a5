"""What checks have found of persons: added to, never changed; a later record takes an earlier one's place."""

from sqlalchemy import CheckConstraint, Column, Date, ForeignKey, Table, Text, Uuid

from cardservice.cardholders.models import cardholder
from cardservice.database import UtcDateTime, metadata

entitlement = Table(
    "entitlement",
    metadata,
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), primary_key=True),
    # UUIDv7: in the order in which they were recorded.
    Column("id", Uuid, primary_key=True),
    Column("service", Text, nullable=False),
    Column("programme", Text, nullable=False),
    # The school year, where the programme goes by it; else "".
    Column("year", Text, nullable=False),
    Column("first_day", Date, nullable=False),
    # The first day on which it does not hold any more; not after `first_day` where it was taken away.
    Column("review_on", Date, CheckConstraint("review_on >= first_day", name="review_on"), nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    # What the check is called where it was made; no more is kept of it.
    Column("reference", Text, nullable=False),
    Column("actor", Text, nullable=False),
)
