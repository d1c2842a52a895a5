"""What payments through a provider keep beside the ledger: attempts, refunds, disputes, settlements, matters.

Whose money it is stands here as the payer alone: nothing leads from these tables to a person.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from cardservice.database import BigSerial, UtcDateTime, metadata
from cardservice.ledger.models import ledger_transaction, payer_state

# One payment that somebody was sent to a provider for. Its id becomes the transaction's when it is captured.
payment_attempt = Table(
    "payment_attempt",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("payer_id", Uuid, ForeignKey(payer_state.c.payer_id), nullable=False),
    Column("provider", Text, nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount"), nullable=False),
    Column("unit", Text, nullable=False),
    # How much of it settles arrears, as of its beginning.
    Column(
        "arrears_percent",
        Integer,
        CheckConstraint("arrears_percent BETWEEN 1 AND 100", name="percent"),
        nullable=False,
    ),
    # The provider's own name; NULL until its answer has come.
    Column("provider_payment", Text, nullable=True),
    Column(
        "state",
        Text,
        CheckConstraint(
            "state IN ('wanted', 'created', 'started', 'submitted', 'capturable', 'success', 'failed',"
            " 'cancelled', 'error')",
            name="state",
        ),
        nullable=False,
    ),
    Column("begun_at", UtcDateTime, nullable=False),
    # When the provider is asked next; NULL: no more.
    Column("check_at", UtcDateTime, nullable=True),
    Column("posted_as", Uuid, nullable=True),
    # As the audit trail names them; NULL for what was begun before this was written down.
    Column("begun_by", Text, nullable=True),
    UniqueConstraint("provider", "provider_payment"),
    ForeignKeyConstraint(["payer_id", "posted_as"], [ledger_transaction.c.payer_id, ledger_transaction.c.id]),
    # Captured and posted are one thing; and it is posted under its own id, so once.
    CheckConstraint("(state = 'success') = (posted_as IS NOT NULL)", name="captured_is_posted"),
    CheckConstraint("posted_as = id", name="posted_as_itself"),
    CheckConstraint("posted_as IS NULL OR provider_payment IS NOT NULL", name="posted_has_name"),
)
Index("ix_payment_attempt_check_at", payment_attempt.c.check_at)

# What goes back by the provider. It is posted before that is asked, so that it cannot be spent meanwhile.
payment_refund = Table(
    "payment_refund",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("attempt_id", Uuid, ForeignKey(payment_attempt.c.id), nullable=False),
    Column("payer_id", Uuid, nullable=False),
    Column("provider", Text, nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount"), nullable=False),
    Column("provider_refund", Text, nullable=True),
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('wanted', 'submitted', 'success', 'error')", name="state"),
        nullable=False,
    ),
    Column("begun_at", UtcDateTime, nullable=False),
    Column("check_at", UtcDateTime, nullable=True),
    # Where the provider could not give it back: the transaction that paid it in again.
    Column("returned_as", Uuid, nullable=True),
    UniqueConstraint("provider", "provider_refund"),
    ForeignKeyConstraint(["payer_id", "id"], [ledger_transaction.c.payer_id, ledger_transaction.c.id]),
    ForeignKeyConstraint(
        ["payer_id", "returned_as"], [ledger_transaction.c.payer_id, ledger_transaction.c.id]
    ),
    CheckConstraint("(state = 'error') = (returned_as IS NOT NULL)", name="failed_is_returned"),
)
Index("ix_payment_refund_check_at", payment_refund.c.check_at)
# One at a time is asked for: what the provider has that we have no name for is then this one.
Index(
    "uq_payment_refund_wanted",
    payment_refund.c.attempt_id,
    unique=True,
    postgresql_where=payment_refund.c.state == text("'wanted'"),
    sqlite_where=payment_refund.c.state == text("'wanted'"),
)

# What a payer's bank has taken back, or means to.
payment_dispute = Table(
    "payment_dispute",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("provider_dispute", Text, primary_key=True),
    Column("attempt_id", Uuid, ForeignKey(payment_attempt.c.id), nullable=False),
    Column("payer_id", Uuid, nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount"), nullable=False),
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('needs_response', 'under_review', 'lost', 'won')", name="state"),
        nullable=False,
    ),
    Column("posted_as", Uuid, nullable=True),
    # Less than the amount where some of the payment had been given back before.
    Column("posted_minor", BigInteger, nullable=False, server_default=text("0")),
    ForeignKeyConstraint(["payer_id", "posted_as"], [ledger_transaction.c.payer_id, ledger_transaction.c.id]),
    CheckConstraint("posted_minor BETWEEN 0 AND amount_minor", name="posted"),
    CheckConstraint("(posted_minor > 0) = (posted_as IS NOT NULL)", name="posted_is_named"),
    CheckConstraint("posted_as IS NULL OR state = 'lost'", name="lost_is_posted"),
)

# When a provider is asked for disputes next.
payment_provider = Table(
    "payment_provider",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("disputes_check_at", UtcDateTime, nullable=False),
)

# A list of what a provider has paid to the bank.
settlement_file = Table(
    "settlement_file",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("lines", Integer, nullable=False),
    Column("loaded_at", UtcDateTime, nullable=False),
)

settlement_line = Table(
    "settlement_line",
    metadata,
    Column("sha256", LargeBinary, ForeignKey(settlement_file.c.sha256), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("provider", Text, nullable=False),
    Column(
        "kind", Text, CheckConstraint("kind IN ('payment', 'refund', 'dispute')", name="kind"), nullable=False
    ),
    Column("reference", Text, nullable=False),
    Column("settled_on", Date, nullable=False),
    # What came to the bank is above 0, what it gave is below.
    Column("gross_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, CheckConstraint("fee_minor >= 0", name="fee"), nullable=False),
    Column("unit", Text, nullable=False),
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('matched', 'unknown', 'differs', 'repeated')", name="state"),
        nullable=False,
    ),
    CheckConstraint("gross_minor <> 0 AND (kind = 'payment') = (gross_minor > 0)", name="direction"),
)
# Settled once, whatever files say.
Index(
    "uq_settlement_line_matched",
    settlement_line.c.provider,
    settlement_line.c.kind,
    settlement_line.c.reference,
    unique=True,
    postgresql_where=settlement_line.c.state == text("'matched'"),
    sqlite_where=settlement_line.c.state == text("'matched'"),
)
Index(
    "ix_settlement_line_open",
    settlement_line.c.provider,
    settlement_line.c.reference,
    postgresql_where=settlement_line.c.state != text("'matched'"),
    sqlite_where=settlement_line.c.state != text("'matched'"),
)

# What somebody wants back: how much all of it was when it was first asked for, whatever comes in since.
redemption = Table(
    "redemption",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("payer_id", Uuid, ForeignKey(payer_state.c.payer_id), nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount"), nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
)

# Money that leaves by bank transfer because it cannot go back where it came from: two people, not one.
payout = Table(
    "payout",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("payer_id", Uuid, ForeignKey(payer_state.c.payer_id), nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount"), nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("approved_by", Text, nullable=True),
    Column("posted_as", Uuid, nullable=True),
    ForeignKeyConstraint(["payer_id", "posted_as"], [ledger_transaction.c.payer_id, ledger_transaction.c.id]),
    CheckConstraint("posted_as = id", name="posted_as_itself"),
    CheckConstraint("(posted_as IS NULL) = (approved_by IS NULL)", name="approved_is_posted"),
    CheckConstraint("approved_by <> asked_by", name="two_people"),
)

# What needs a person: opened once for each thing, closed with a reason.
payment_matter = Table(
    "payment_matter",
    metadata,
    Column("number", BigSerial, Identity(), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime, nullable=True),
    Column("closed_by", Text, nullable=True),
    Column("closed_because", Text, nullable=True),
    UniqueConstraint("kind", "subject"),
    CheckConstraint("(closed_at IS NULL) = (closed_because IS NULL)", name="closed_because"),
)
