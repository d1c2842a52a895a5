"""What was imported, and what it changed, so that it can be undone."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, Uuid

from cardservice.cardholders.models import cardholder
from cardservice.database import UtcDateTime, metadata

import_run = Table(
    "import_run",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("school", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    *(Column(name, Integer, nullable=False) for name in ("joined", "changed", "departed")),
    Column("undone_by", Text, nullable=True),
)
Index(None, import_run.c.school, import_run.c.at)

# Who was concerned; what their record said before, sealed under their own key. Goes with the person.
import_change = Table(
    "import_change",
    metadata,
    Column("run_id", Uuid, ForeignKey(import_run.c.id), primary_key=True),
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), primary_key=True, index=True),
    Column(
        "what", Text, CheckConstraint("what IN ('joined', 'changed', 'left')", name="what"), nullable=False
    ),
    Column("before", LargeBinary, nullable=True),
)
