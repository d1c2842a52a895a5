"""The way to a card: a seam of one function, and PC/SC behind it."""
