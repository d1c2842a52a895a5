"""Applications and proofs. What a proof is of, and why an application was refused, is sealed."""

from sqlalchemy import CheckConstraint, Column, Date, ForeignKey, Index, LargeBinary, Table, Text, Uuid, text

from cardservice.cardholders.models import cardholder
from cardservice.cards.models import card
from cardservice.database import UtcDateTime, metadata

application = Table(
    "application",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), nullable=False, index=True),
    Column(
        "kind",
        Text,
        CheckConstraint("kind IN ('citizen', 'young-citizen', 'visitor')", name="kind"),
        nullable=False,
    ),
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('open', 'approved', 'refused', 'withdrawn')", name="state"),
        nullable=False,
    ),
    Column("applied_at", UtcDateTime, nullable=False),
    # Of a visit: its first and its last day.
    Column("first_day", Date, nullable=True),
    Column("last_day", Date, nullable=True),
    Column("decided_at", UtcDateTime, nullable=True),
    Column("decided_by", Text, nullable=True),
    # Why it was refused, sealed.
    Column("reason", LargeBinary, nullable=True),
    # What was ordered when it was approved.
    Column("card_id", Uuid, ForeignKey(card.c.id), nullable=True, unique=True),
    CheckConstraint(
        "(kind = 'visitor') = (first_day IS NOT NULL) AND (first_day IS NULL) = (last_day IS NULL)",
        name="visit",
    ),
    CheckConstraint("last_day >= first_day", name="last_day"),
    CheckConstraint(
        "(state = 'open') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)",
        name="decided",
    ),
    CheckConstraint("(state = 'approved') = (card_id IS NOT NULL)", name="approved"),
    CheckConstraint("(state = 'refused') = (reason IS NOT NULL)", name="refused"),
)
# Nobody waits for two cards of a kind.
_OPEN = text("state = 'open'")
Index(
    "ix_application_open",
    application.c.cardholder_id,
    application.c.kind,
    unique=True,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)

# That a document was seen; never the document. Of what kind it was tells of health, so that is sealed, too.
proof = Table(
    "proof",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("seen_by", Text, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    # The first day on which it does not count any more; without one it counts for good.
    Column("review_on", Date, nullable=True, index=True),
    # When another one took its place, or it was taken away.
    Column("ended_at", UtcDateTime, nullable=True),
    CheckConstraint("ended_at >= seen_at", name="ended_at"),
)
