"""After a restore: what was lost, and how it comes back from the terminals that kept it."""
