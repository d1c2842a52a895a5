"""Providers that are closed from a moment on, and their terminals with them (docs/adr/0178).

Revision ID: 0064
Revises: 0062
"""

from importlib.resources import files

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0064"
down_revision = "0062"


def upgrade() -> None:
    for table in ("provider", "terminal"):
        op.add_column(table, sa.Column("closed_from", UtcDateTime, nullable=True))
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    # As it stands: a percent sign in it is no placeholder.
    source = files("cardservice.authorisation").joinpath("reading.sql").read_text()
    connection.exec_driver_sql(source, execution_options={"no_parameters": True})


def downgrade() -> None:
    # The function stays: it is the one that this program calls, whatever the tables' revision.
    for table in ("terminal", "provider"):
        op.drop_column(table, "closed_from")
