"""Staff: who they are, what each may do, and where a second person is needed."""
