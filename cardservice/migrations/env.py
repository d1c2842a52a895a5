"""Alembic's entry: runs the revisions on the connection that `runner` opened, in its transaction."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=None,
    # On SQLite as on PostgreSQL, a revision that fails leaves nothing behind.
    transactional_ddl=True,
)
context.run_migrations()
