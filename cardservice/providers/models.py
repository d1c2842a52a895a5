"""The scheme and its providers."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Integer, Table, Text

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
    # From when on its terminals ask nothing; its terminals have it, too (cardservice/providers/closing.py).
    Column("closed_from", UtcDateTime, nullable=True),
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

# Which keys of the card's service applications a provider's terminals may have, from a moment on and up to
# another. Keys 0 and 3 are nobody's but the service's.
card_key_grant = Table(
    "card_key_grant",
    metadata,
    Column("provider_id", Text, ForeignKey(provider.c.id), primary_key=True),
    Column(
        "application",
        Integer,
        CheckConstraint("application BETWEEN 1 AND 16777215", name="application"),
        primary_key=True,
    ),
    Column(
        "key_number", Integer, CheckConstraint("key_number IN (1, 2)", name="key_number"), primary_key=True
    ),
    Column(
        "version", Integer, CheckConstraint("version BETWEEN 0 AND 255", name="version"), primary_key=True
    ),
    Column("valid_from", UtcDateTime, primary_key=True),
    Column("valid_until", UtcDateTime, nullable=True),
    Column("actor", Text, nullable=False),
    CheckConstraint("valid_until >= valid_from", name="ends_after_it_begins"),
)
