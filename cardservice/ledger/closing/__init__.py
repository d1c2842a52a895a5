"""What is done with transactions after their commit: a number, sums by day, a seal for each day."""
