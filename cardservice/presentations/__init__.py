"""Presentations: a card is shown at a till, and the till is told whose it is."""
