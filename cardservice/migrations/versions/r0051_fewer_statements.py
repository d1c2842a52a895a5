"""Posting by fewer and smaller statements: accounts are looked at where they are changed (docs/adr/0158).

Revision ID: 0051
Revises: 0041
"""

from importlib.resources import files

from alembic import op

revision = "0051"
down_revision = "0041"


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    for package, file in (
        ("cardservice.ledger", "posting.sql"),
        ("cardservice.authorisation", "reading.sql"),
    ):
        # As it stands: a percent sign in it is no placeholder.
        source = files(package).joinpath(file).read_text()
        connection.exec_driver_sql(source, execution_options={"no_parameters": True})


def downgrade() -> None:
    """The functions stay: they are the ones that this program calls, whatever the tables' revision."""
