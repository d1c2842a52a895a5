"""Less for a posting and for what it is decided on: functions as they are now, and room for changed rows.

Revision ID: 0010
Revises: 0009
"""

from importlib.resources import files

from alembic import op

revision = "0010"
down_revision = "0009"

# These rows are changed by every sale. With room on its page a row is changed in place (PostgreSQL, "HOT
# updates"): its index is left alone, and the old row goes with the next look at the page.
_CHANGED = ("payer_state", "account", "counter")
# What a transaction says of its payer holds for its proof: docs/adr/0059.
_PROOF_PAYER = "fk_transaction_proof_payer_id_payer_state"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _CHANGED:
            op.execute(f"ALTER TABLE {table} SET (fillfactor = 70)")
        op.drop_constraint(_PROOF_PAYER, "transaction_proof")
        for package, file in (
            ("cardservice.ledger", "posting.sql"),
            ("cardservice.authorisation", "reading.sql"),
        ):
            # As it stands: a percent sign in it is no placeholder.
            source = files(package).joinpath(file).read_text()
            op.get_bind().exec_driver_sql(source, execution_options={"no_parameters": True})


def downgrade() -> None:
    # The functions stay: they are the ones that this program calls, whatever the tables' revision.
    if op.get_bind().dialect.name == "postgresql":
        for table in _CHANGED:
            op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
        op.create_foreign_key(_PROOF_PAYER, "transaction_proof", "payer_state", ["payer_id"], ["payer_id"])
