"""The service's records: parties, cards, certificates, tariffs and logs.

Revision ID: 0001
Revises: nothing
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import BigSerial, JsonDocument, UtcDateTime

revision = "0001"
down_revision = None

TABLES = (
    "scheme",
    "provider",
    "terminal",
    "terminal_state",
    "cardholder",
    "card",
    "card_state",
    "personalisation_order",
    "certificate",
    "crl",
    "tariff",
    "audit",
    "security_event",
)


def upgrade() -> None:
    _parties()
    _cards()
    _certificates()
    _rules_and_logs()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _parties() -> None:
    op.create_table(
        "scheme",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("length(currency) = 3", name="currency"),
    )
    op.create_table(
        "provider",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "terminal",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("provider_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("offline_limit_minor", sa.BigInteger, nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("offline_limit_minor >= 0", name="offline_limit_minor"),
        sa.ForeignKeyConstraint(["provider_id"], ["provider.id"]),
    )
    op.create_table(
        "terminal_state",
        sa.Column("id", BigSerial, sa.Identity(), nullable=False),
        sa.Column("terminal_id", sa.Text, nullable=False),
        sa.Column("valid_from", UtcDateTime, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("state IN ('active', 'revoked')", name="state"),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminal.id"]),
    )
    op.create_index(
        "ix_terminal_state_terminal_id_valid_from", "terminal_state", ["terminal_id", "valid_from"]
    )
    op.create_table(
        "cardholder",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _cards() -> None:
    op.create_table(
        "card",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("expires_on", sa.Date, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
    )
    op.create_index("ix_card_cardholder_id", "card", ["cardholder_id"])
    op.create_table(
        "card_state",
        sa.Column("id", BigSerial, sa.Identity(), nullable=False),
        sa.Column("card_id", sa.Uuid, nullable=False),
        sa.Column("valid_from", UtcDateTime, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint(
            "state IN ('stock', 'ordered', 'personalised', 'dispatched', 'active', 'suspended',"
            " 'lost', 'stolen', 'damaged', 'expired', 'withdrawn', 'revoked')",
            name="state",
        ),
        sa.ForeignKeyConstraint(["card_id"], ["card.id"]),
    )
    op.create_index("ix_card_state_card_id_valid_from", "card_state", ["card_id", "valid_from"])
    op.create_table(
        "personalisation_order",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("card_id", sa.Uuid, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("state IN ('open', 'certified', 'done', 'failed')", name="state"),
        sa.ForeignKeyConstraint(["card_id"], ["card.id"]),
        sa.UniqueConstraint("card_id"),
    )


def _certificates() -> None:
    op.create_table(
        "certificate",
        sa.Column("authority", sa.Text, nullable=False),
        sa.Column("serial", sa.Text, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("not_before", UtcDateTime, nullable=False),
        sa.Column("not_after", UtcDateTime, nullable=False),
        sa.Column("issued_at", UtcDateTime, nullable=False),
        sa.Column("revoked_at", UtcDateTime, nullable=True),
        sa.Column("revocation_reason", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("authority", "serial"),
        sa.CheckConstraint("(revoked_at IS NULL) = (revocation_reason IS NULL)", name="revocation"),
        sa.UniqueConstraint("sha256"),
    )
    op.create_index("ix_certificate_authority_identity", "certificate", ["authority", "identity"])
    op.create_index("ix_certificate_authority_revoked_at", "certificate", ["authority", "revoked_at"])
    op.create_table(
        "crl",
        sa.Column("authority", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("this_update", UtcDateTime, nullable=False),
        sa.Column("next_update", UtcDateTime, nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("authority", "number"),
    )


def _rules_and_logs() -> None:
    op.create_table(
        "tariff",
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("valid_from", UtcDateTime, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("service", "version"),
    )
    op.create_index("ix_tariff_service_valid_from", "tariff", ["service", "valid_from"])
    op.create_table(
        "audit",
        sa.Column("id", BigSerial, sa.Identity(), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", JsonDocument, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_subject", "audit", ["subject"])
    op.create_table(
        "security_event",
        sa.Column("id", BigSerial, sa.Identity(), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("terminal_id", sa.Text, nullable=True),
        sa.Column("transaction_id", sa.Uuid, nullable=True),
        sa.Column("body", sa.LargeBinary, nullable=True),
        sa.Column("quarantined", sa.Boolean, nullable=False),
        sa.Column("detail", JsonDocument, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_security_event_at", "security_event", ["at"])
    op.create_index("ix_security_event_terminal_id_at", "security_event", ["terminal_id", "at"])
