"""What a seal covers, who vouches for an erased salt, transactions by their id, who sells a service.

Revision ID: 0015
Revises: 0014
"""

from importlib.resources import files

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0015"
down_revision = "0014"

_TRIGGER = "sealed_leaf_only_erased"
_BY_ID = "ix_ledger_sequence_transaction_id"
_ADDED = ("details_sha256", "tombstone")


def upgrade() -> None:
    op.create_index(_BY_ID, "ledger_sequence", ["transaction_id"])
    _drop_trigger()
    for name in _ADDED:
        op.add_column("sealed_leaf", sa.Column(name, sa.LargeBinary, nullable=True))
    _make_trigger("after")
    op.create_table(
        "service_seller",
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("provider_id", sa.Text, sa.ForeignKey("provider.id"), nullable=False),
        sa.Column("valid_from", UtcDateTime, nullable=False),
        sa.Column("valid_until", UtcDateTime, nullable=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("service", "provider_id", "valid_from"),
        sa.CheckConstraint("valid_until >= valid_from", name="ends_after_it_begins"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # A message is answered by whom a service is sold, too.
        source = files("cardservice.authorisation").joinpath("reading.sql").read_text()
        op.get_bind().exec_driver_sql(source, execution_options={"no_parameters": True})


def downgrade() -> None:
    # The function stays: it is the one that this program calls, whatever the tables' revision.
    op.drop_table("service_seller")
    _drop_trigger()
    for name in reversed(_ADDED):
        op.drop_column("sealed_leaf", name)
    _make_trigger("before")
    op.drop_index(_BY_ID, "ledger_sequence")


def _drop_trigger() -> None:
    on = " ON sealed_leaf" if op.get_bind().dialect.name == "postgresql" else ""
    op.execute(f"DROP TRIGGER {_TRIGGER}{on}")


def _make_trigger(when: str) -> None:
    """Refuse whatever is no erasing of a salt, once; what was committed to stays as it was."""
    kept = ("shard", "epoch", "sequence", "hash", *(["details_sha256"] if when == "after" else []))
    if op.get_bind().dialect.name == "postgresql":
        new, old = (", ".join(f"{row}.{name}" for name in kept) for row in ("NEW", "OLD"))
        op.execute(
            f"CREATE TRIGGER {_TRIGGER} BEFORE UPDATE ON sealed_leaf FOR EACH ROW WHEN ("
            f"NEW.salt IS NOT NULL OR OLD.salt IS NULL OR ({new}) IS DISTINCT FROM ({old})"
            ") EXECUTE FUNCTION refuse_change()"
        )
        return
    changed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in kept)
    op.execute(
        f"CREATE TRIGGER {_TRIGGER} BEFORE UPDATE ON sealed_leaf FOR EACH ROW"
        f" WHEN NEW.salt IS NOT NULL OR OLD.salt IS NULL OR {changed} BEGIN"
        " SELECT RAISE(ABORT, 'sealed_leaf is never changed and never deleted'); END"
    )
