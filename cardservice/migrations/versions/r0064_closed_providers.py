"""Providers that are closed from a moment on, and their terminals with them (docs/adr/0178).

Revision ID: 0064
Revises: 0057
"""

from importlib.resources import files

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0064"
down_revision = "0057"


_COLUMN = "t.closed_from"


def upgrade() -> None:
    for table in ("provider", "terminal"):
        op.add_column(table, sa.Column("closed_from", UtcDateTime, nullable=True))
    _put_reading(_COLUMN)


def downgrade() -> None:
    # As it was read before there was such a thing.
    _put_reading("NULL")
    for table in ("terminal", "provider"):
        op.drop_column(table, "closed_from")


def _put_reading(closed_from: str) -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    source = files("cardservice.authorisation").joinpath("reading.sql").read_text()
    # As it stands: a percent sign in it is no placeholder.
    options = {"no_parameters": True}
    connection.exec_driver_sql(source.replace(_COLUMN, closed_from), execution_options=options)
