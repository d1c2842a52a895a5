"""The ledger: whose money it is, what happened, and every movement of it, never changed and never deleted."""
