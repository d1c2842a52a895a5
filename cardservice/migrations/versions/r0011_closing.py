"""What follows the commit: ledger sequence, roll-ups, seals.

Revision ID: 0011
Revises: 0010
"""

from datetime import UTC, date, datetime
from importlib.resources import files

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0011"
down_revision = "0010"

TABLES = ("ledger_epoch", "ledger_position", "ledger_sequence", "account_rollup", "day_seal", "sealed_leaf")
# The one shard of one node
_SHARD = 0


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_ledger_transaction_posted_xid", "ledger_transaction", ["posted_xid"])
    _sequence()
    _rollup()
    _seals()
    _begin()
    source = files("cardservice.ledger.closing").joinpath(f"unchanging_{op.get_bind().dialect.name}.sql")
    for statement in source.read_text().split("\n-- next\n"):
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_ledger_transaction_posted_xid", "ledger_transaction")


def _sequence() -> None:
    op.create_table(
        "ledger_epoch",
        sa.Column("shard", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("began_at", UtcDateTime, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("shard", "epoch"),
        sa.CheckConstraint("epoch >= 0", name="epoch"),
    )
    op.create_table(
        "ledger_position",
        sa.Column("shard", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("posted_below", sa.BigInteger, nullable=False),
        sa.Column("open_day", sa.Date, nullable=False),
        sa.PrimaryKeyConstraint("shard"),
        sa.ForeignKeyConstraint(["shard", "epoch"], ["ledger_epoch.shard", "ledger_epoch.epoch"]),
    )
    op.create_table(
        "ledger_sequence",
        sa.Column("shard", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("transaction_id", sa.Uuid, nullable=False),
        sa.Column("settled_on", sa.Date, nullable=False),
        sa.Column("late", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("shard", "epoch", "sequence"),
        sa.CheckConstraint("sequence > 0", name="sequence"),
        sa.ForeignKeyConstraint(
            ["payer_id", "transaction_id"], ["ledger_transaction.payer_id", "ledger_transaction.id"]
        ),
        sa.UniqueConstraint("payer_id", "transaction_id"),
    )
    op.create_index(
        "ix_ledger_sequence_payer_id_settled_on",
        "ledger_sequence",
        ["payer_id", "settled_on", "epoch", "sequence"],
    )
    op.create_index("ix_ledger_sequence_settled_on", "ledger_sequence", ["settled_on"])


def _rollup() -> None:
    op.create_table(
        "account_rollup",
        sa.Column("shard", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("debit_minor", sa.BigInteger, nullable=False),
        sa.Column("credit_minor", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("shard", "account", "unit", "day"),
        sa.CheckConstraint("debit_minor >= 0", name="debit"),
        sa.CheckConstraint("credit_minor >= 0", name="credit"),
    )


def _seals() -> None:
    op.create_table(
        "day_seal",
        sa.Column("shard", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("after_sequence", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("signed", sa.LargeBinary, nullable=False),
        sa.Column("sealed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("shard", "number"),
        sa.CheckConstraint("number > 0", name="number"),
        sa.CheckConstraint("size >= 0", name="size"),
        sa.ForeignKeyConstraint(["shard", "epoch"], ["ledger_epoch.shard", "ledger_epoch.epoch"]),
        sa.UniqueConstraint("shard", "epoch", "day"),
    )
    op.create_table(
        "sealed_leaf",
        sa.Column("shard", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=True),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("erased_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("shard", "epoch", "sequence"),
        sa.CheckConstraint("(salt IS NULL) = (erased_at IS NOT NULL)", name="erased"),
        sa.ForeignKeyConstraint(
            ["shard", "epoch", "sequence"],
            ["ledger_sequence.shard", "ledger_sequence.epoch", "ledger_sequence.sequence"],
        ),
    )


def _begin() -> None:
    """What was posted before is given its numbers by the first run."""
    epoch = sa.table(
        "ledger_epoch",
        *(sa.column(name) for name in ("shard", "epoch", "reason", "actor")),
        sa.column("began_at", UtcDateTime),
    )
    position = sa.table(
        "ledger_position",
        *(sa.column(name) for name in ("shard", "epoch", "sequence", "posted_below")),
        sa.column("open_day", sa.Date),
    )
    # No moment of the machine's: the first epoch began with the ledger.
    began = {"shard": _SHARD, "epoch": 0, "began_at": datetime(1970, 1, 1, tzinfo=UTC)}
    op.get_bind().execute(sa.insert(epoch).values(**began, reason="first", actor="cardservice"))
    op.get_bind().execute(
        sa.insert(position).values(
            shard=_SHARD, epoch=0, sequence=0, posted_below=0, open_day=date(1970, 1, 1)
        )
    )
