"""Who is entitled to what programmes pay; a message is answered by that, and by what the holder must not eat.

Revision ID: 0020
Revises: 0018
"""

from importlib.resources import files

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0020"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "entitlement",
        sa.Column("cardholder_id", sa.Uuid, sa.ForeignKey("cardholder.id"), nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("programme", sa.Text, nullable=False),
        sa.Column("year", sa.Text, nullable=False),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("review_on", sa.Date, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("cardholder_id", "id"),
        sa.CheckConstraint("review_on >= first_day", name="review_on"),
    )
    if op.get_bind().dialect.name == "postgresql":
        source = files("cardservice.authorisation").joinpath("reading.sql").read_text()
        op.get_bind().exec_driver_sql(source, execution_options={"no_parameters": True})


def downgrade() -> None:
    # The function stays: it is the one that this program calls, whatever the tables' revision.
    op.drop_table("entitlement")
