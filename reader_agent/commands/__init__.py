"""The commands of `reader-agent`, by what they are about."""
