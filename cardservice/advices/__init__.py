"""Advices by the thousand: what a terminal gave away while it could not ask, told in chunks."""
