"""The migrations of release 2."""
