"""What the pages take from GOV.UK Frontend: which version (the lock file), and what is left out of it."""
