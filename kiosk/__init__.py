"""The faces of a terminal, and the launcher of the demonstration. Speaks HTTP; imports no other package."""
