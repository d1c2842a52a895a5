"""The reader agent as a daemon: what the faces on this machine ask it, and what it tells them."""
