"""Persons with cards."""
