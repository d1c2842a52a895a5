"""The whole stack, as its users run it: console scripts, a real pcscd, HTTP, gunicorn, both databases."""
