"""Group commit: one greenlet gathers what many requests ask of the database and asks it once."""
