"""What staff did, and what was refused before it could take a transaction's id."""
