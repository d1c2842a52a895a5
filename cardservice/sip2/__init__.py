"""SIP2 2.00, both ways: for machines of ours that ask, and as a client of another system."""
