"""Who is entitled to what programmes pay, as checks have found, and what programmes have paid."""
