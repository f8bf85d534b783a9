"""Ways to run it."""
