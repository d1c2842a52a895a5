"""The commands of `cardservice`, one module a subject."""
