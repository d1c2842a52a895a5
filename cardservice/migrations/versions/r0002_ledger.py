"""The ledger: payers and their accounts, transactions and transfers that nobody can change, posting.

Revision ID: 0002
Revises: 0001
"""

from importlib.resources import files

import sqlalchemy as sa
from alembic import op

from cardservice.database import JsonDocument, UtcDateTime, Xid8
from cardservice.ledger.models import CurrentTransaction

revision = "0002"
down_revision = "0001"

TABLES = (
    "payer",
    "payer_state",
    "cardholder_payer",
    "account",
    "payer_limit",
    "counter",
    "transaction_proof",
    "ledger_transaction",
    "transfer",
    "transaction_details",
    "cardholder_key",
)


def upgrade() -> None:
    _payers()
    _transactions()
    _erasable()
    if op.get_bind().dialect.name == "sqlite":
        _run("unchanging_sqlite.sql")
    else:
        _run("unchanging_postgresql.sql")
        _run("posting.sql")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION post_transactions")
    for table in reversed(TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change")
        op.execute("DROP FUNCTION check_reversal")


def _payers() -> None:
    op.create_table(
        "payer",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("kind IN ('person', 'family')", name="kind"),
    )
    op.create_table(
        "payer_state",
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("payer_id"),
        sa.ForeignKeyConstraint(["payer_id"], ["payer.id"]),
    )
    op.create_table(
        "cardholder_payer",
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("valid_from", UtcDateTime, nullable=False),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("cardholder_id", "valid_from"),
        sa.CheckConstraint("valid_from >= recorded_at", name="never_backdated"),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
        sa.ForeignKeyConstraint(["payer_id"], ["payer_state.payer_id"]),
    )
    op.create_index("ix_cardholder_payer_payer_id", "cardholder_payer", ["payer_id"])
    op.create_table(
        "account",
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("card_id", sa.Text, server_default="", nullable=False),
        sa.Column("application", sa.Text, server_default="", nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("balance", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("payer_id", "kind", "card_id", "application"),
        sa.CheckConstraint("kind <> 'arrears' OR balance <= 0", name="arrears_are_owed"),
        sa.CheckConstraint(
            "(kind = 'card_value') = (card_id <> '' AND application <> '')", name="card_value_names_card"
        ),
        sa.CheckConstraint("floor IS NULL OR balance >= floor", name="floor"),
        sa.CheckConstraint("kind IN ('prepaid', 'arrears', 'card_value', 'points', 'reserved')", name="kind"),
        sa.CheckConstraint("(kind = 'arrears') = (floor IS NULL)", name="only_arrears_without_floor"),
        sa.ForeignKeyConstraint(["payer_id"], ["payer_state.payer_id"]),
    )
    op.create_table(
        "payer_limit",
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("cardholder_id", sa.Uuid, nullable=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("valid_from", UtcDateTime, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("payer_id", "id"),
        sa.ForeignKeyConstraint(["payer_id"], ["payer_state.payer_id"]),
    )
    op.create_table(
        "counter",
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("payer_id", "cardholder_id", "rule", "period"),
        sa.CheckConstraint("used >= 0", name="used"),
        sa.ForeignKeyConstraint(["payer_id"], ["payer_state.payer_id"]),
    )


def _transactions() -> None:
    op.create_table(
        "transaction_proof",
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("transaction_id", sa.Uuid, nullable=False),
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("nonce", sa.LargeBinary, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("payer_id", "transaction_id"),
        sa.ForeignKeyConstraint(["payer_id"], ["payer_state.payer_id"]),
    )
    op.create_table(
        "ledger_transaction",
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("terminal_id", sa.Text, nullable=True),
        sa.Column("sequence", sa.BigInteger, nullable=True),
        sa.Column("provider_id", sa.Text, nullable=True),
        sa.Column("service", sa.Text, nullable=True),
        sa.Column("action", sa.Text, nullable=True),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=True),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("tariff_version", sa.Text, nullable=True),
        sa.Column("offline", sa.Boolean, nullable=False),
        sa.Column("flags", JsonDocument, nullable=False),
        sa.Column("replaces", sa.Uuid, nullable=True),
        sa.Column("duplicate_of", sa.Uuid, nullable=True),
        sa.Column("annuls", sa.Uuid, nullable=True),
        sa.Column("body", sa.LargeBinary, nullable=True),
        sa.Column("occurred_at", UtcDateTime, nullable=False),
        sa.Column("posted_at", UtcDateTime, nullable=False),
        sa.Column("posted_xid", Xid8, server_default=CurrentTransaction(), nullable=False),
        sa.Column("proof_of", sa.Uuid, nullable=True),
        sa.PrimaryKeyConstraint("payer_id", "id"),
        sa.CheckConstraint("amount_minor >= 0", name="amount"),
        sa.CheckConstraint("(kind = 'annul') = (annuls IS NOT NULL)", name="annul_names_transaction"),
        sa.CheckConstraint("(kind = 'tombstone') = (body IS NULL)", name="body"),
        sa.CheckConstraint("(origin = 'card') = (proof_of IS NOT NULL)", name="card_has_proof"),
        sa.CheckConstraint("decision IN ('approved', 'declined', 'annulled', 'duplicate')", name="decision"),
        sa.CheckConstraint(
            "(decision = 'duplicate') = (duplicate_of IS NOT NULL)", name="duplicate_names_first"
        ),
        sa.CheckConstraint("kind IN ('request', 'advice', 'annul', 'tombstone', 'topup')", name="kind"),
        sa.CheckConstraint("origin IN ('card', 'staff', 'payment', 'rating', 'system')", name="origin"),
        sa.CheckConstraint("proof_of = id", name="proof_is_its_own"),
        sa.CheckConstraint("kind <> 'tombstone' OR decision = 'annulled'", name="tombstone_is_annulled"),
        sa.ForeignKeyConstraint(["payer_id"], ["payer_state.payer_id"]),
        sa.ForeignKeyConstraint(
            ["payer_id", "proof_of"], ["transaction_proof.payer_id", "transaction_proof.transaction_id"]
        ),
    )
    op.create_index(
        "ix_ledger_transaction_annuls",
        "ledger_transaction",
        ["payer_id", "annuls"],
        postgresql_where=sa.text("annuls IS NOT NULL"),
        sqlite_where=sa.text("annuls IS NOT NULL"),
    )
    op.create_index(
        "ix_ledger_transaction_duplicate_of",
        "ledger_transaction",
        ["payer_id", "duplicate_of"],
        postgresql_where=sa.text("duplicate_of IS NOT NULL"),
        sqlite_where=sa.text("duplicate_of IS NOT NULL"),
    )
    op.create_table(
        "transfer",
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("transaction_id", sa.Uuid, nullable=False),
        sa.Column("line", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("debit", sa.Text, nullable=False),
        sa.Column("credit", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("tax_code", sa.Text, nullable=True),
        sa.Column("tax_rate_bp", sa.Integer, nullable=True),
        sa.Column("net_minor", sa.BigInteger, nullable=True),
        sa.Column("tax_minor", sa.BigInteger, nullable=True),
        sa.Column("supplier", sa.Text, nullable=True),
        sa.Column("reverses_transaction", sa.Uuid, nullable=True),
        sa.Column("reverses_line", sa.Integer, nullable=True),
        sa.PrimaryKeyConstraint("payer_id", "transaction_id", "line"),
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.CheckConstraint("line > 0", name="line"),
        sa.CheckConstraint("(net_minor IS NULL) = (tax_minor IS NULL)", name="net_and_tax"),
        sa.CheckConstraint("net_minor + tax_minor = amount_minor", name="net_plus_tax"),
        sa.CheckConstraint("(reverses_transaction IS NULL) = (reverses_line IS NULL)", name="reverses"),
        sa.CheckConstraint("debit <> credit", name="two_accounts"),
        sa.ForeignKeyConstraint(
            ["payer_id", "reverses_transaction", "reverses_line"],
            ["transfer.payer_id", "transfer.transaction_id", "transfer.line"],
        ),
        sa.ForeignKeyConstraint(
            ["payer_id", "transaction_id"], ["ledger_transaction.payer_id", "ledger_transaction.id"]
        ),
    )
    op.create_index(
        "ix_transfer_reverses",
        "transfer",
        ["payer_id", "reverses_transaction", "reverses_line"],
        postgresql_where=sa.text("reverses_transaction IS NOT NULL"),
        sqlite_where=sa.text("reverses_transaction IS NOT NULL"),
    )


def _erasable() -> None:
    op.create_table(
        "transaction_details",
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("transaction_id", sa.Uuid, nullable=False),
        sa.Column("retention_class", sa.Text, nullable=False),
        sa.Column("details", JsonDocument, nullable=True),
        sa.Column("salt", sa.LargeBinary, nullable=True),
        sa.Column("answer", JsonDocument, nullable=True),
        sa.PrimaryKeyConstraint("payer_id", "transaction_id"),
        sa.ForeignKeyConstraint(
            ["payer_id", "transaction_id"], ["ledger_transaction.payer_id", "ledger_transaction.id"]
        ),
    )
    op.create_table(
        "cardholder_key",
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("destroyed_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("cardholder_id"),
        sa.CheckConstraint("(wrapped IS NULL) = (destroyed_at IS NOT NULL)", name="destroyed"),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
    )


def _run(file: str) -> None:
    # As it stands: a percent sign in it is no placeholder.
    for statement in files("cardservice.ledger").joinpath(file).read_text().split("\n-- next\n"):
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})
