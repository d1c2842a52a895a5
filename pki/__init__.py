"""Every key and certificate of the scheme, and the statements that are signed with them."""
