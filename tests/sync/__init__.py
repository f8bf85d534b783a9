"""Capture, log, registers, projection and trust in a real database; run on SQLite and on PostgreSQL."""
