"""Accounts of staff with their roles, and what waits for a second person."""

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Table, Text, Uuid

from cardservice.database import JsonDocument, UtcDateTime, metadata
from cardservice.providers.models import provider

staff = Table(
    "staff",
    metadata,
    # What colleagues call them by: in the audit trail for ever, so never given to another.
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # Their account on the machine that the command line runs on.
    Column("os_user", Text, nullable=True, unique=True),
    # Whose things they see, where that is one provider's alone.
    Column("provider_id", Text, ForeignKey(provider.c.id), nullable=True),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# Taken away when somebody does something else; what was, is in the audit trail.
staff_role = Table(
    "staff_role",
    metadata,
    Column("staff_id", Text, ForeignKey(staff.c.id), primary_key=True),
    Column("role", Text, primary_key=True),
    Column("given_at", UtcDateTime, nullable=False),
    Column("given_by", Text, nullable=False),
)

# Asked for by one person, and not done before another agrees.
second_person = Table(
    "second_person",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("action", Text, nullable=False),
    Column("detail", JsonDocument, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('open', 'agreed', 'withdrawn')", name="state"),
        nullable=False,
    ),
    Column("closed_by", Text, nullable=True),
    Column("closed_at", UtcDateTime, nullable=True),
    # Whatever a program does.
    CheckConstraint(
        "state <> 'agreed' OR (closed_by IS NOT NULL AND closed_by <> asked_by)", name="two_people"
    ),
    CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
)
