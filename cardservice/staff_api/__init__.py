"""The routes of staff: what the command line does, over HTTP, by the same functions."""
