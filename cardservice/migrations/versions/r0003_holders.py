"""What a till shows of a cardholder: form, allergens, photo.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("cardholder", sa.Column("form", sa.Text, nullable=True))
    op.create_table(
        "dietary_need",
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("allergen", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("cardholder_id", "allergen"),
        sa.CheckConstraint(
            "allergen IN ('gluten', 'crustaceans', 'eggs', 'fish', 'peanuts', 'soybeans', 'milk', 'nuts',"
            " 'celery', 'mustard', 'sesame', 'sulphites', 'lupin', 'molluscs')",
            name="allergen",
        ),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
    )
    op.create_table(
        "cardholder_photo",
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("jpeg", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("cardholder_id"),
        sa.CheckConstraint("length(jpeg) BETWEEN 1 AND 40000", name="jpeg"),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
    )


def downgrade() -> None:
    op.drop_table("cardholder_photo")
    op.drop_table("dietary_need")
    op.drop_column("cardholder", "form")
