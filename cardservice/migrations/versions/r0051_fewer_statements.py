"""Posting by fewer statements, and the newest certificate found without sorting (docs/adr/0158).

Revision ID: 0051
Revises: 0041
"""

from importlib.resources import files

from alembic import op

revision = "0051"
down_revision = "0041"


_FORMER, _INDEX = "ix_certificate_authority_identity", "ix_certificate_authority_identity_issued_at"


def upgrade() -> None:
    op.create_index(_INDEX, "certificate", ["authority", "identity", "issued_at"])
    op.drop_index(_FORMER, "certificate")
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
    # The functions stay: they are the ones that this program calls, whatever the tables' revision.
    op.create_index(_FORMER, "certificate", ["authority", "identity"])
    op.drop_index(_INDEX, "certificate")
