"""Persons with cards."""

from sqlalchemy import Column, Table, Text, Uuid

from cardservice.database import UtcDateTime, metadata

cardholder = Table(
    "cardholder",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    # What prices go by: adult, young, older, …; the services' own files map it to theirs.
    Column("category", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
