"""The HTTP face: the application, problem documents, wire formats and what all routes share."""
