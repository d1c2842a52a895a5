"""What lending keeps: who may borrow, what there is, who has it, and who waits for it.

A loan is a row while it stands and is gone when the thing is back: what somebody read is kept for those alone
who want it (`lending_history`). What stays of a loan is one more in a count of the month.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from cardservice.cardholders.models import cardholder
from cardservice.database import BigSerial, UtcDateTime, metadata

member = Table(
    "lending_member",
    metadata,
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), primary_key=True),
    # What is printed on the card or its sleeve, and scanned.
    Column("barcode", Text, nullable=False, unique=True),
    # Argon2id in PHC's text form, under a key of the service's.
    Column("pin", Text, nullable=True),
    Column("wrong_pins", Integer, nullable=False, server_default=text("0")),
    Column("locked_until", UtcDateTime, nullable=True),
    Column("keeps_history", Boolean, nullable=False),
    # By whom; why is between them and the librarian.
    Column("barred_by", Text, nullable=True),
    Column("joined_at", UtcDateTime, nullable=False),
)

title = Table(
    "lending_title",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("item_class", Text, nullable=False),
)

copy = Table(
    "lending_copy",
    metadata,
    Column("barcode", Text, primary_key=True),
    Column("title_id", Text, ForeignKey(title.c.id), nullable=False, index=True),
    # Where it belongs, and where it is.
    Column("branch", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
)

loan = Table(
    "lending_loan",
    metadata,
    # Of two who want one copy at once one gets it.
    Column("copy", Text, ForeignKey(copy.c.barcode), primary_key=True),
    Column("cardholder_id", Uuid, ForeignKey(member.c.cardholder_id), nullable=False, index=True),
    Column("item_class", Text, nullable=False),
    Column("terms", Text, nullable=False),
    Column("lent_at", UtcDateTime, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("renewals", Integer, CheckConstraint("renewals >= 0", name="renewals"), nullable=False),
)

# A queue: the lower number comes first. With a `copy` it has come to its end, and waits on the shelf.
hold = Table(
    "lending_hold",
    metadata,
    Column("number", BigSerial, Identity(), primary_key=True),
    Column("title_id", Text, ForeignKey(title.c.id), nullable=False),
    Column("cardholder_id", Uuid, ForeignKey(member.c.cardholder_id), nullable=False, index=True),
    Column("placed_at", UtcDateTime, nullable=False),
    Column("branch", Text, nullable=False),
    Column("copy", Text, ForeignKey(copy.c.barcode), nullable=True, unique=True),
    Column("kept_until", Date, nullable=True),
    UniqueConstraint("title_id", "cardholder_id"),
    CheckConstraint("(copy IS NULL) = (kept_until IS NULL)", name="kept"),
)
Index("ix_lending_hold_queue", hold.c.title_id, hold.c.number)

# What was charged for lateness, and nothing of what was late.
fine = Table(
    "lending_fine",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("cardholder_id", Uuid, ForeignKey(member.c.cardholder_id), nullable=False, index=True),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount"), nullable=False),
    Column("days_late", Integer, nullable=False),
    Column("charged_at", UtcDateTime, nullable=False),
)

# Of what the library itself took, or forgave; what a card paid is in the ledger alone.
payment = Table(
    "lending_payment",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("cardholder_id", Uuid, ForeignKey(member.c.cardholder_id), nullable=False, index=True),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount"), nullable=False),
    Column(
        "method",
        Text,
        CheckConstraint("method IN ('cash', 'card', 'other', 'waived')", name="method"),
        nullable=False,
    ),
    Column("taken_by", Text, nullable=False),
    # What whoever took it calls it: told twice, it is one payment.
    Column("reference", Text, nullable=True),
    Column("paid_at", UtcDateTime, nullable=False),
    UniqueConstraint("taken_by", "reference"),
)

history = Table(
    "lending_history",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("cardholder_id", Uuid, ForeignKey(member.c.cardholder_id), nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("lent_on", Date, nullable=False),
    Column("returned_on", Date, nullable=False),
)

lending_count = Table(
    "lending_count",
    metadata,
    Column("month", Text, primary_key=True),
    Column("branch", Text, primary_key=True),
    Column("item_class", Text, primary_key=True),
    Column("member_class", Text, primary_key=True),
    Column("what", Text, CheckConstraint("what IN ('lent', 'renewed')", name="what"), primary_key=True),
    Column("count", Integer, CheckConstraint("count > 0", name="count"), nullable=False),
)
