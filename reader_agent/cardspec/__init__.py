"""What cards and their readers agree on: bytes, names and numbers of the standards; standard library only."""
