"""The calls of the hot path: posting with plans that stay, and all that a message is decided on in one read.

Revision ID: 0005
Revises: 0004
"""

from importlib.resources import files

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION post_transactions")
        _run("cardservice.ledger", "posting.sql")
        _run("cardservice.authorisation", "reading.sql")


def downgrade() -> None:
    # Posting stays as it is: its function is the one that this program calls, whatever the tables' revision.
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION read_for_messages")


def _run(package: str, file: str) -> None:
    # As it stands: a percent sign in it is no placeholder.
    source = files(package).joinpath(file).read_text()
    op.get_bind().exec_driver_sql(source, execution_options={"no_parameters": True})
