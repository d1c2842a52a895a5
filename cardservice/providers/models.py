"""The scheme and its providers."""

from sqlalchemy import CheckConstraint, Column, Table, Text

from cardservice.database import UtcDateTime, metadata

# One row: whose database this is. Its currency (ISO 4217) is that of every money account.
scheme = Table(
    "scheme",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("currency", Text, CheckConstraint("length(currency) = 3", name="currency"), nullable=False),
    Column("timezone", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

provider = Table(
    "provider",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
)
