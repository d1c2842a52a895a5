"""Pupils of schools: taken over from the school's own file."""
