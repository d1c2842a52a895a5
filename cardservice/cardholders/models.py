"""Persons with cards. What is known of one is sealed, field by field (`sealing`)."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
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

# Reads whose very kind tells something of a person, such as that a programme pays for their meals: beside the
# audit log, which more people see. They are told to the person as the others are (`accesses`).
record_read = Table(
    "record_read",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
)

# Who may act for a child, and who may not. What it says is sealed under the child's key: that two records
# have to do with each other, and from when until when, stands in clear.
guardianship = Table(
    "guardianship",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("child_id", Uuid, ForeignKey(cardholder.c.id), nullable=False, index=True),
    Column("person_id", Uuid, ForeignKey(cardholder.c.id), nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("first_day", Date, nullable=False),
    # The last day on which it holds.
    Column("last_day", Date, nullable=True),
    Column("ended_at", UtcDateTime, nullable=True),
    CheckConstraint("child_id <> person_id", name="person"),
    CheckConstraint("last_day >= first_day", name="last_day"),
)
