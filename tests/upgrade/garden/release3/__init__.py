"""The migrations of release 3."""
