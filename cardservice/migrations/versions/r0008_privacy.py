"""Proofs name a key and not whose it is; versions of the key that wraps those; cards that were erased.

Revision ID: 0008
Revises: 0007

A key that is there already keeps its cardholder's identifier as its own: proofs are never changed, and it is
part of what they were wrapped with.
"""

from importlib.resources import files

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("CREATE TEMPORARY TABLE kept_key AS SELECT * FROM cardholder_key")
    op.drop_table("cardholder_key")
    op.create_table(
        "cardholder_key",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("cardholder_id", sa.Uuid, nullable=True),
        sa.Column("kek_version", sa.Integer, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("destroyed_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("cardholder_id"),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
        sa.CheckConstraint("(wrapped IS NULL) = (destroyed_at IS NOT NULL)", name="destroyed"),
        sa.CheckConstraint("wrapped IS NULL OR cardholder_id IS NOT NULL", name="nobodys_is_destroyed"),
    )
    op.execute(
        "INSERT INTO cardholder_key (id, cardholder_id, kek_version, wrapped, created_at, destroyed_at)"
        " SELECT cardholder_id, cardholder_id, 1, wrapped, created_at, destroyed_at FROM kept_key"
    )
    op.execute("DROP TABLE kept_key")
    op.execute("ALTER TABLE transaction_proof RENAME COLUMN cardholder_id TO key_id")
    op.create_table(
        "erased_card",
        sa.Column("card_sha256", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("card_sha256"),
    )
    _install_functions()


def downgrade() -> None:
    newer = "SELECT count(*) FROM cardholder_key WHERE id <> cardholder_id OR kek_version > 1"
    if op.get_bind().scalar(sa.text(newer)):
        # The older program would not know what they are wrapped with.
        raise RuntimeError(
            "there are keys that the older schema cannot keep: every proof under them would be lost"
        )
    op.drop_table("erased_card")
    op.execute("ALTER TABLE transaction_proof RENAME COLUMN key_id TO cardholder_id")
    op.execute("CREATE TEMPORARY TABLE kept_key AS SELECT * FROM cardholder_key")
    op.drop_table("cardholder_key")
    op.create_table(
        "cardholder_key",
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("destroyed_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("cardholder_id"),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
        sa.CheckConstraint("(wrapped IS NULL) = (destroyed_at IS NOT NULL)", name="destroyed"),
    )
    op.execute(
        "INSERT INTO cardholder_key (cardholder_id, wrapped, created_at, destroyed_at)"
        " SELECT cardholder_id, wrapped, created_at, destroyed_at FROM kept_key"
        " WHERE cardholder_id IS NOT NULL"
    )
    op.execute("DROP TABLE kept_key")


def _install_functions() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("DROP FUNCTION post_transactions")
    for package, file in (
        ("cardservice.ledger", "posting.sql"),
        ("cardservice.authorisation", "reading.sql"),
    ):
        # As it stands: a percent sign in it is no placeholder.
        source = files(package).joinpath(file).read_text()
        op.get_bind().exec_driver_sql(source, execution_options={"no_parameters": True})
