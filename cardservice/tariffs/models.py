"""Tariffs: drafts that wait for a second person, and what was approved, of which each version is kept."""

from sqlalchemy import Boolean, CheckConstraint, Column, Index, Table, Text, Uuid

from cardservice.database import UtcDateTime, metadata

# Each version is kept, so that a decision can be explained years later.
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
    Column("approved_by", Text, nullable=True),
    # One person was enough: the scheme had said so.
    Column("one_person", Boolean, nullable=False),
    CheckConstraint("one_person OR (approved_by IS NOT NULL AND approved_by <> actor)", name="two_people"),
)
Index(None, tariff.c.service, tariff.c.valid_from)

# Read and checked, and not in force before somebody else has approved it.
tariff_draft = Table(
    "tariff_draft",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("service", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("valid_from", UtcDateTime, nullable=False),
    Column("content", Text, nullable=False),
    # JSON, as text: how much there is of resources by their keys; what loading had to say.
    Column("capacities", Text, nullable=False),
    Column("report", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("drafted_at", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False),
    Column("closed_at", UtcDateTime, nullable=True),
    Column("closed_by", Text, nullable=True),
    Column("closed_because", Text, nullable=True),
    Column("one_person", Boolean, nullable=False),
    CheckConstraint("state IN ('open', 'approved', 'withdrawn')", name="state"),
    CheckConstraint("(state = 'open') = (closed_by IS NULL)", name="closed_by"),
    CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed_at"),
    CheckConstraint("state <> 'approved' OR one_person OR closed_by <> author", name="two_people"),
)
# The same files twice are one draft.
Index(
    "ix_tariff_draft_open",
    tariff_draft.c.service,
    tariff_draft.c.version,
    unique=True,
    sqlite_where=tariff_draft.c.state == "open",
    postgresql_where=tariff_draft.c.state == "open",
)
