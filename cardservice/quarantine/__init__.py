"""Quarantine: what a terminal told and what could not be posted, kept for people to look at."""
