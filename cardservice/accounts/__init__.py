"""Closing an account: who leaves, has died or has not been seen for long; what they are owed goes back."""
