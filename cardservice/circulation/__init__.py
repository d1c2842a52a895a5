"""Lending: members, titles and copies, loans, queues and what is owed for lateness."""
