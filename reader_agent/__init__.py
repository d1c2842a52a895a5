"""Everything that touches a card, or runs on the terminal that reads it."""
