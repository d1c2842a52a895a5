"""Names, forms, allergens and photos are sealed, and found by tokens.

Revision ID: 0023
Revises: 0031

It takes the key that wraps cardholders' keys, which `cardservice init` has: without it no record is moved.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import context, op

from cardservice.cardholders.records import read_fields, write_field
from cardservice.cardholders.sealing import Field
from cardservice.database import UtcDateTime
from cardservice.ids import CardholderId
from cardservice.ledger.key_ring import KeyRing
from cardservice.migrations.versions import r0003_holders

revision = "0023"
down_revision = "0031"


def upgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        # What is taken away is overwritten in the file, too.
        op.execute("PRAGMA secure_delete = ON")
    op.add_column("cardholder", sa.Column("index_version", sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_cardholder_index_version", "cardholder", ["index_version"])
    op.create_table(
        "record_field",
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("cardholder_id", "field"),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
        sa.CheckConstraint("length(sealed) BETWEEN 30 AND 40029", name="sealed"),
    )
    op.create_table(
        "cardholder_token",
        sa.Column("token", sa.LargeBinary, nullable=False),
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("token", "cardholder_id"),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
        sa.CheckConstraint("length(token) = 16", name="token"),
    )
    op.create_index("ix_cardholder_token_cardholder_id", "cardholder_token", ["cardholder_id"])
    for holder in _people(bind):
        _seal(bind, holder)
    op.drop_table("cardholder_photo")
    op.drop_table("dietary_need")
    for column in ("name", "form"):
        op.drop_column("cardholder", column)
    if bind.dialect.name == "postgresql":
        # Written anew, so that nothing of the columns is left on its pages.
        op.execute("ALTER TABLE cardholder ALTER COLUMN category TYPE text USING category || ''")


def downgrade() -> None:
    bind = op.get_bind()
    op.add_column("cardholder", sa.Column("name", sa.Text, nullable=True))
    # The tables of before, and the column of the form.
    r0003_holders.upgrade()
    for holder in _people(bind):
        _open(bind, holder)
    with op.batch_alter_table("cardholder") as batch:
        batch.alter_column("name", existing_type=sa.Text, nullable=False)
        batch.drop_index("ix_cardholder_index_version")
        batch.drop_column("index_version")
    op.drop_table("cardholder_token")
    op.drop_table("record_field")


def _people(bind: sa.Connection) -> list[CardholderId]:
    rows = bind.execute(sa.select(sa.table("cardholder", sa.column("id", sa.Uuid)).c.id)).scalars()
    return [CardholderId(each) for each in rows]


def _kek() -> KeyRing:
    kek: KeyRing | None = context.config.attributes["kek"]
    if kek is None:
        raise RuntimeError("there are persons in the database: run cardservice init, which has their keys")
    return kek


def _seal(bind: sa.Connection, holder: CardholderId) -> None:
    """What the tables of before know of somebody."""
    whose = {"holder": holder}
    name, form = bind.execute(_query("SELECT name, form FROM cardholder WHERE id = :holder"), whose).one()
    needs = _query("SELECT allergen FROM dietary_need WHERE cardholder_id = :holder ORDER BY allergen")
    allergens = bind.execute(needs, whose).scalars().all()
    photo = bind.execute(_query("SELECT jpeg FROM cardholder_photo WHERE cardholder_id = :holder"), whose)
    jpeg = photo.scalar()
    for field, value in (
        (Field.NAME, name),
        (Field.FORM, form),
        (Field.ALLERGENS, list(allergens) or None),
        (Field.PHOTO, None if jpeg is None else bytes(jpeg)),
    ):
        write_field(bind, _kek(), holder, field, value, datetime.now(UTC))


def _open(bind: sa.Connection, holder: CardholderId) -> None:
    """Back to the tables of before, as far as they have a place for it."""
    known = read_fields(bind, _kek(), holder)
    names = _query("UPDATE cardholder SET name = :name, form = :form WHERE id = :holder")
    whose = {"holder": holder}
    bind.execute(names, {**whose, "name": known.get(Field.NAME, ""), "form": known.get(Field.FORM)})
    for allergen in known.get(Field.ALLERGENS, ()):
        bind.execute(
            _query("INSERT INTO dietary_need (cardholder_id, allergen) VALUES (:holder, :allergen)"),
            {**whose, "allergen": allergen},
        )
    if (jpeg := known.get(Field.PHOTO)) is not None:
        bind.execute(
            _query("INSERT INTO cardholder_photo (cardholder_id, jpeg) VALUES (:holder, :jpeg)"),
            {**whose, "jpeg": jpeg},
        )


def _query(words: str) -> sa.TextClause:
    return sa.text(words).bindparams(sa.bindparam("holder", type_=sa.Uuid))
