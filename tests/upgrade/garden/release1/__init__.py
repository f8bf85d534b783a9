"""The migrations of release 1."""
