"""Alembic's entry: runs the revisions on the connection that `runner` opened, in its transaction."""

from alembic import context

from cardservice.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    # For its naming convention: the revisions name constraints as the models do.
    target_metadata=metadata,
    # On SQLite as on PostgreSQL, a revision that fails leaves nothing behind.
    transactional_ddl=True,
)
context.run_migrations()
