"""Functions for reading and posting that look each row up once.

Revision ID: 0035
Revises: 0034
"""

from importlib.resources import files

from alembic import op

revision = "0035"
down_revision = "0034"


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
