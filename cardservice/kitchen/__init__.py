"""What a kitchen asks: what to cook, what was sold, and who ate what has to be recalled."""
