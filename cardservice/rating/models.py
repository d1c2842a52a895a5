"""How far the worker that rates has come."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, Table, Text

from cardservice.database import metadata

# In the ledger's sequence, which leaves nothing out; what was rated twice is posted once.
rating_position = Table(
    "rating_position",
    metadata,
    Column("service", Text, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("sequence", BigInteger, CheckConstraint("sequence >= 0", name="sequence"), nullable=False),
)
