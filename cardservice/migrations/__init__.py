"""The schema's history, as Alembic revisions, each of which runs both ways on both databases."""
