"""The machines that read cards, each with a provider, a role and a key."""
