"""The life of a card is kept by the tables: what leads where, one card of a kind in use, codes of activation.

Revision ID: 0022
Revises: 0020

Where somebody has several cards of a kind in use, the newest stays so; the others are withdrawn, and are to
be revoked (`cardservice card list --state withdrawn`).
"""

from datetime import UTC, datetime
from importlib.resources import files

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0022"
down_revision = "0020"

_STATES = (
    "state IN ('stock', 'ordered', 'personalised', 'dispatched', 'active', 'suspended', 'lost',"
    " 'stolen', 'damaged', 'expired', 'withdrawn', 'revoked')"
)
_IN_USE = sa.text("state IN ('active', 'suspended')")
_ENDS = ("lost", "stolen", "damaged", "expired", "withdrawn", "revoked")
# As they are with this revision; what changes them later is a revision of its own.
_LEADS_TO = {
    "stock": ("ordered", "withdrawn", "revoked"),
    "ordered": ("personalised", "active", "withdrawn", "revoked"),
    "personalised": ("dispatched", "active", *_ENDS),
    "dispatched": ("active", *_ENDS),
    "active": ("suspended", *_ENDS),
    "suspended": ("active", *_ENDS),
    **dict.fromkeys(_ENDS[:-1], ("revoked",)),
}


def upgrade() -> None:
    with op.batch_alter_table("card") as batch:
        batch.add_column(sa.Column("state", sa.Text, nullable=False, server_default="stock"))
        batch.add_column(sa.Column("replaces", sa.Uuid, nullable=True))
        batch.create_check_constraint("state", _STATES)
        batch.create_foreign_key(None, "card", ["replaces"], ["id"])
    with op.batch_alter_table("personalisation_order") as batch:
        batch.add_column(sa.Column("delivery", sa.Text, nullable=False, server_default="desk"))
        batch.create_check_constraint("delivery", "delivery IN ('desk', 'post')")
    _transitions()
    op.create_table(
        "card_activation",
        sa.Column("card_id", sa.Uuid, nullable=False),
        sa.Column("code_mac", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("attempts_left", sa.SmallInteger, nullable=False),
        sa.PrimaryKeyConstraint("card_id"),
        sa.ForeignKeyConstraint(["card_id"], ["card.id"]),
        sa.CheckConstraint("attempts_left >= 0", name="attempts_left"),
    )
    _withdraw_all_but_the_newest()
    latest = (
        "SELECT s.state FROM card_state AS s WHERE s.card_id = card.id ORDER BY s.valid_from DESC, s.id DESC"
    )
    op.execute(f"UPDATE card SET state = coalesce(({latest} LIMIT 1), 'stock')")  # noqa: S608 - our own names
    op.create_index(
        "ix_card_in_use",
        "card",
        ["cardholder_id", "kind"],
        unique=True,
        sqlite_where=_IN_USE,
        postgresql_where=_IN_USE,
    )
    _run(f"life_{op.get_bind().dialect.name}.sql")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER card_state_unchanging ON card_state")
        op.execute("DROP TRIGGER card_state_follow ON card_state")
        op.execute("DROP TRIGGER card_state_latest ON card")
        op.execute("DROP FUNCTION follow_card_state")
        op.execute("DROP FUNCTION check_card_state")
    else:
        for trigger in ("leads", "order", "follow", "latest", "first", "no_update"):
            op.execute(f"DROP TRIGGER card_state_{trigger}")
    op.drop_table("card_activation")
    op.drop_table("card_transition")
    with op.batch_alter_table("personalisation_order") as batch:
        batch.drop_constraint("delivery", type_="check")
        batch.drop_column("delivery")
    op.drop_index("ix_card_in_use", "card")
    with op.batch_alter_table("card") as batch:
        batch.drop_constraint("fk_card_replaces_card", type_="foreignkey")
        batch.drop_constraint("state", type_="check")
        for column in ("replaces", "state"):
            batch.drop_column(column)


def _transitions() -> None:
    table = op.create_table(
        "card_transition",
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("next", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("state", "next"),
    )
    op.bulk_insert(
        table, [{"state": state, "next": each} for state, leads in _LEADS_TO.items() for each in leads]
    )


def _withdraw_all_but_the_newest() -> None:
    """In use so far, by holder and kind; each but the one that came into use last."""
    card = sa.table("card", *(sa.column(name) for name in ("id", "cardholder_id", "kind")))
    state = sa.table(
        "card_state",
        *(sa.column(name) for name in ("id", "card_id", "state", "reason", "actor")),
        sa.column("valid_from", UtcDateTime),
        sa.column("recorded_at", UtcDateTime),
    )
    rows = op.get_bind().execute(
        sa.select(card.c.id, card.c.cardholder_id, card.c.kind, state.c.state)
        .join(state, state.c.card_id == card.c.id)
        .order_by(state.c.valid_from, state.c.id)
    )
    latest: dict[object, tuple[object, object]] = {}
    for row in rows:
        # Put last again with each state that it came to.
        latest.pop(row.id, None)
        if row.state in {"active", "suspended"}:
            latest[row.id] = (row.cardholder_id, row.kind)
    newest = {whose: card_id for card_id, whose in latest.items()}
    moment = datetime.now(UTC)
    for card_id, whose in latest.items():
        if newest[whose] != card_id:
            op.get_bind().execute(
                state.insert().values(
                    card_id=card_id,
                    valid_from=moment,
                    recorded_at=moment,
                    state="withdrawn",
                    reason="another card of this kind is in use",
                    actor="migration",
                )
            )


def _run(file: str) -> None:
    for statement in files("cardservice.cards").joinpath(file).read_text().split("\n-- next\n"):
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})
