"""Persons with cards, and what a till needs to know of one; the sensitive parts are tables of their own."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, LargeBinary, Table, Text, Uuid

from cardservice.allergens import ALLERGENS
from cardservice.database import UtcDateTime, metadata

cardholder = Table(
    "cardholder",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    # What prices go by: adult, young, older, …; the services' own files map it to theirs.
    Column("category", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # The school class, such as 5B.
    Column("form", Text, nullable=True),
)

# A row for each allergen that this person must not eat. Data on health (GDPR, article 9), so apart.
dietary_need = Table(
    "dietary_need",
    metadata,
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), primary_key=True),
    Column(
        "allergen",
        Text,
        CheckConstraint(
            f"allergen IN ({', '.join(map(repr, ALLERGENS))})",
            name="allergen",
        ),
        primary_key=True,
    ),
)

# As `photos` makes it: a JPEG without metadata, of `photos.MAX_BYTES` at most.
cardholder_photo = Table(
    "cardholder_photo",
    metadata,
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), primary_key=True),
    Column(
        "jpeg", LargeBinary, CheckConstraint("length(jpeg) BETWEEN 1 AND 40000", name="jpeg"), nullable=False
    ),
)
