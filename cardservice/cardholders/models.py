"""Persons with cards. What is known of one is sealed, field by field (`sealing`)."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
)

from cardservice.database import UtcDateTime, metadata

cardholder = Table(
    "cardholder",
    metadata,
    Column("id", Uuid, primary_key=True),
    # What prices go by: adult, young, older, …; the services' own files map it to theirs.
    Column("category", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # Under which version of the key this person's tokens are; 0: they have none yet.
    Column("index_version", Integer, nullable=False, server_default="0", index=True),
)

record_field = Table(
    "record_field",
    metadata,
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), primary_key=True),
    Column("field", Text, primary_key=True),
    # A photo is the largest (`photos.MAX_BYTES`), with what sealing adds.
    Column(
        "sealed",
        LargeBinary,
        CheckConstraint("length(sealed) BETWEEN 30 AND 40029", name="sealed"),
        nullable=False,
    ),
    Column("changed_at", UtcDateTime, nullable=False),
)

# What a person is found by (`tokens`).
cardholder_token = Table(
    "cardholder_token",
    metadata,
    Column("token", LargeBinary, CheckConstraint("length(token) = 16", name="token"), primary_key=True),
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), primary_key=True),
)
Index(None, cardholder_token.c.cardholder_id)
