"""The scheme and its providers."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Table, Text

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

# Who sells a service, from a moment on and up to another. One of which nobody is on record is open to all:
# the roles of terminals alone say who may ask for it.
service_seller = Table(
    "service_seller",
    metadata,
    Column("service", Text, primary_key=True),
    Column("provider_id", Text, ForeignKey(provider.c.id), primary_key=True),
    Column("valid_from", UtcDateTime, primary_key=True),
    Column("valid_until", UtcDateTime, nullable=True),
    Column("actor", Text, nullable=False),
    CheckConstraint("valid_until >= valid_from", name="ends_after_it_begins"),
)
