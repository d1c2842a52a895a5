"""The identity application of a card: PIV, SP 800-73-5 part 2."""
