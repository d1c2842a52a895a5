"""Prices and rules of the services: versioned data with dates of effect."""
