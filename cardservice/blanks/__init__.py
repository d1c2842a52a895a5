"""Blank cards: delivered, moved, used up, spoiled and counted."""
