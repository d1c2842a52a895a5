"""What revocation in full needs of the authorities' records, and their trail.

Revision ID: 0004
Revises: 0003
"""

from hashlib import sha256

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime
from pki.trail import IMPORT, TrailHead, next_entry

revision = "0004"
down_revision = "0003"

_TRAIL = sa.table(
    "pki_trail",
    *(
        sa.column(name)
        for name in ("authority", "sequence", "at_ms", "actor", "operation", "detail", "sha256")
    ),
)
_HEAD = sa.table("pki_trail_head", *(sa.column(name) for name in ("authority", "sequence", "sha256")))


def upgrade() -> None:
    _certificates()
    _lists()
    _status_index()
    _trail()
    _begin_trail()


def downgrade() -> None:
    for table in ("pki_trail_head", "pki_trail", "status_index"):
        op.drop_table(table)
    with op.batch_alter_table("crl") as batch:
        for column in ("base_number", "shard", "issuer"):
            batch.drop_column(column)
    op.drop_index("ix_certificate_authority_status_changed_at", "certificate")
    op.drop_index("ix_certificate_authority_issuer_shard", "certificate")
    with op.batch_alter_table("certificate") as batch:
        for column in ("status_changed_at", "shard", "status_index", "issuer"):
            batch.drop_column(column)


def _certificates() -> None:
    with op.batch_alter_table("certificate") as batch:
        # Until the first rollover an issuer is called like its authority.
        batch.add_column(sa.Column("issuer", sa.Text, nullable=True))
        batch.add_column(sa.Column("status_index", sa.BigInteger, nullable=True))
        batch.add_column(sa.Column("shard", sa.BigInteger, nullable=True))
        batch.add_column(sa.Column("status_changed_at", UtcDateTime, nullable=True))
    op.execute("UPDATE certificate SET issuer = authority, status_changed_at = revoked_at")
    with op.batch_alter_table("certificate") as batch:
        batch.alter_column("issuer", existing_type=sa.Text, nullable=False)
    op.create_index(
        "ix_certificate_authority_issuer_shard",
        "certificate",
        ["authority", "issuer", "shard"],
        sqlite_where=sa.text("revoked_at IS NOT NULL"),
        postgresql_where=sa.text("revoked_at IS NOT NULL"),
    )
    op.create_index(
        "ix_certificate_authority_status_changed_at", "certificate", ["authority", "status_changed_at"]
    )


def _lists() -> None:
    with op.batch_alter_table("crl") as batch:
        batch.add_column(sa.Column("issuer", sa.Text, nullable=True))
        batch.add_column(sa.Column("shard", sa.BigInteger, nullable=True))
        batch.add_column(sa.Column("base_number", sa.BigInteger, nullable=True))
    op.execute("UPDATE crl SET issuer = authority")
    with op.batch_alter_table("crl") as batch:
        batch.alter_column("issuer", existing_type=sa.Text, nullable=False)


def _status_index() -> None:
    op.create_table(
        "status_index",
        sa.Column("authority", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("authority", "position"),
        sa.UniqueConstraint("authority", "identity"),
        sa.CheckConstraint("position >= 0", name="place"),
    )


def _trail() -> None:
    op.create_table(
        "pki_trail",
        sa.Column("authority", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("authority", "sequence"),
        sa.CheckConstraint("sequence > 0", name="order"),
    )
    op.create_table(
        "pki_trail_head",
        sa.Column("authority", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("authority"),
    )
    if op.get_bind().dialect.name == "sqlite":  # on PostgreSQL the service's role has no right to it
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER pki_trail_no_{event.lower()} BEFORE {event} ON pki_trail "
                "BEGIN SELECT RAISE(ABORT, 'the trail is only ever added to'); END"
            )


def _begin_trail() -> None:
    """What was done before there was a trail is its beginning."""
    certificate = sa.table(
        "certificate",
        *(sa.column(name) for name in ("authority", "serial", "issuer", "profile", "revocation_reason")),
        sa.column("der", sa.LargeBinary),
        sa.column("issued_at", UtcDateTime),
        sa.column("revoked_at", UtcDateTime),
    )
    heads: dict[str, TrailHead] = {}
    rows = op.get_bind().execute(sa.select(certificate).order_by(certificate.c.issued_at)).all()
    for row in rows:
        detail: dict[str, str | int | None] = {
            "serial": row.serial,
            "issuer": row.issuer,
            "profile": row.profile,
            "sha256": sha256(row.der).hexdigest(),
        }
        if row.revocation_reason is not None:
            as_of = row.revoked_at.isoformat(timespec="milliseconds")
            detail |= {"reason": row.revocation_reason, "as_of": as_of}
        head = heads.get(row.authority)
        entry = next_entry(head, row.authority, IMPORT, "cardservice", row.issued_at, detail)
        heads[row.authority] = entry.head
        values = {column.name: getattr(entry, column.name) for column in _TRAIL.columns}
        op.get_bind().execute(sa.insert(_TRAIL).values(**values))
    for authority, head in heads.items():
        op.get_bind().execute(
            sa.insert(_HEAD).values(authority=authority, sequence=head.sequence, sha256=head.sha256)
        )
