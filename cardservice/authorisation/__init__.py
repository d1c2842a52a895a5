"""Authorisation: a card's signed statement becomes a posted, answered transaction."""
