"""Recovery: heads beside the database, and what terminals send again."""
