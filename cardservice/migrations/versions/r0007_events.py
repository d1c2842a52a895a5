"""What happens beside sales: refunds, ratings, payments taken back, carry-overs, resources; who may owe.

Revision ID: 0007
Revises: 0005
"""

# ruff: noqa: S608 - the names in the queries are those of our own tables

from importlib.resources import files

import sqlalchemy as sa
from alembic import op

from cardservice.database import JsonDocument, UtcDateTime

revision = "0007"
down_revision = "0005"

_KINDS_BEFORE = "kind IN ('request', 'advice', 'annul', 'tombstone', 'topup')"
_KINDS = (
    "kind IN ('request', 'advice', 'annul', 'tombstone', 'refund', 'goodwill', 'rating', 'topup',"
    " 'repayment', 'chargeback', 'carry_over')"
)
_NEW = {
    "ledger_transaction": {
        "rating_is_rated": "(kind = 'rating') = (origin = 'rating')",
        "payment_is_paid": "kind NOT IN ('topup', 'repayment', 'chargeback') OR origin = 'payment'",
        "by_staff": "kind NOT IN ('refund', 'goodwill', 'carry_over') OR origin = 'staff'",
    },
    "account": {"points_are_no_money": "(kind = 'points') = (unit = 'points')"},
}
_TRIGGERS = {
    "ledger_transaction": ("ledger_transaction_rating",),
    "transfer": ("transfer_into_arrears", "transfer_reversed_tax"),
}


def upgrade() -> None:
    _constraints({_KINDS_BEFORE: _KINDS}, {}, _NEW)
    _rating()
    _payment_reference()
    _resources()
    _run(f"events_{op.get_bind().dialect.name}.sql")


def downgrade() -> None:
    # Where something of a new kind has been posted this is refused: it cannot be told as anything older.
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    for table, triggers in _TRIGGERS.items():
        for trigger in triggers:
            op.execute(f"DROP TRIGGER {trigger}" + (f" ON {table}" if on_postgresql else ""))
    for table in ("reservation", "resource", "payment_reference", "rating"):
        op.drop_table(table)
    if on_postgresql:
        for function in ("check_rating", "check_arrears", "check_reversed_tax"):
            op.execute(f"DROP FUNCTION {function}")
    _constraints({_KINDS: _KINDS_BEFORE}, _NEW, {})


def _rating() -> None:
    op.create_table(
        "rating",
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("transaction_id", sa.Uuid, nullable=False),
        sa.Column("key_id", sa.Uuid, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("travel_day", sa.Date, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("follows", sa.Integer, nullable=True),
        sa.Column("should_be_minor", sa.BigInteger, nullable=False),
        sa.Column("taps", JsonDocument, nullable=False),
        sa.PrimaryKeyConstraint("payer_id", "transaction_id"),
        sa.ForeignKeyConstraint(
            ["payer_id", "transaction_id"],
            ["ledger_transaction.payer_id", "ledger_transaction.id"],
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.UniqueConstraint(
            "payer_id", "key_id", "service", "travel_day", "revision", name="uq_rating_revision"
        ),
        sa.ForeignKeyConstraint(
            ["payer_id", "key_id", "service", "travel_day", "follows"],
            [
                "rating.payer_id",
                "rating.key_id",
                "rating.service",
                "rating.travel_day",
                "rating.revision",
            ],
            name="fk_rating_follows",
        ),
        sa.CheckConstraint("revision > 0", name="revision"),
        sa.CheckConstraint("should_be_minor >= 0", name="amount"),
        sa.CheckConstraint("(revision = 1) = (follows IS NULL)", name="first_follows_nothing"),
        sa.CheckConstraint("follows = revision - 1", name="follows_the_one_before"),
    )


def _payment_reference() -> None:
    op.create_table(
        "payment_reference",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("transaction_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("provider", "kind", "reference"),
        sa.ForeignKeyConstraint(
            ["payer_id", "transaction_id"], ["ledger_transaction.payer_id", "ledger_transaction.id"]
        ),
        sa.CheckConstraint("kind IN ('topup', 'repayment', 'chargeback')", name="kind"),
        sa.CheckConstraint("reference <> ''", name="reference"),
    )
    op.create_index("ix_payment_reference_transaction", "payment_reference", ["payer_id", "transaction_id"])


def _resources() -> None:
    op.create_table(
        "resource",
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("capacity", sa.BigInteger, nullable=False),
        sa.Column("taken", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("service", "key"),
        sa.CheckConstraint("capacity >= 0", name="capacity"),
        sa.CheckConstraint("taken >= 0 AND taken <= capacity", name="taken"),
    )
    op.create_table(
        "reservation",
        sa.Column("transaction_id", sa.Uuid, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("held_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", "service", "key"),
        sa.ForeignKeyConstraint(["payer_id"], ["payer_state.payer_id"]),
        sa.ForeignKeyConstraint(["service", "key"], ["resource.service", "resource.key"]),
        sa.CheckConstraint("quantity > 0", name="quantity"),
        sa.CheckConstraint("state IN ('held', 'confirmed', 'released')", name="state"),
    )
    op.create_index(
        "ix_reservation_held",
        "reservation",
        ["expires_at"],
        postgresql_where=sa.text("state = 'held'"),
        sqlite_where=sa.text("state = 'held'"),
    )


def _constraints(
    kinds: dict[str, str], dropped: dict[str, dict[str, str]], added: dict[str, dict[str, str]]
) -> None:
    """Another list of kinds of transactions, and checks that are no more or new, by table."""
    [(before, after)] = kinds.items()
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in _NEW:
        old, new = dropped.get(table, {}), added.get(table, {})
        if table == "ledger_transaction":
            old, new = old | {"kind": before}, new | {"kind": after}
        if on_sqlite:
            _rebuild(table, old, new)
            continue
        for name in old:
            op.drop_constraint(f"ck_{table}_{name}", table)
        for name, check in new.items():
            op.create_check_constraint(name, table, check)


def _rebuild(table: str, old: dict[str, str], new: dict[str, str]) -> None:
    """SQLite changes no constraint: the table is made anew, with whatever revisions have added to it.

    Its rows are copied as they are. Indexes and triggers went with the old table and are made again.
    """
    run = op.get_bind().exec_driver_sql
    made = (
        f"SELECT type, sql FROM sqlite_master WHERE tbl_name = '{table}' AND sql IS NOT NULL ORDER BY rowid"
    )
    parts = [tuple(row) for row in run(made)]
    [create] = [sql for kind, sql in parts if kind == "table"]
    for name, check in old.items():
        clause = f"CONSTRAINT ck_{table}_{name} CHECK ({check})"
        if clause not in create:
            raise LookupError(f"{table} has no {clause}")
        create = create.replace(f", \n\t{clause}", "").replace(f",\n\t{clause}", "")
    body, _, end = create.rpartition(")")
    clauses = "".join(f", \n\tCONSTRAINT ck_{table}_{name} CHECK ({check})" for name, check in new.items())
    create = f"{body.rstrip()}{clauses}\n){end}"
    name, body = create.split("(", 1)
    # What refers to the table refers to its name, also while it is away.
    run("PRAGMA legacy_alter_table = ON")
    run(f"{name.replace(table, table + '_new')}({body}")
    run(f"INSERT INTO {table}_new SELECT * FROM {table}")
    run(f"DROP TABLE {table}")
    run(f"ALTER TABLE {table}_new RENAME TO {table}")
    run("PRAGMA legacy_alter_table = OFF")
    for kind, sql in parts:
        if kind != "table":
            run(sql, execution_options={"no_parameters": True})


def _run(file: str) -> None:
    # As it stands: a percent sign in it is no placeholder.
    for statement in files("cardservice.ledger").joinpath(file).read_text().split("\n-- next\n"):
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})
