"""What lends: members, copies, loans, holds and fines."""
