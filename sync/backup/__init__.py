"""Copies of a whole replica in one file, made while it runs; and putting one back. See ``making`` and ``restoring``."""
