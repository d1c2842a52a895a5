"""SIP2, both ways."""
