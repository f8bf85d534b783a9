"""Wagtail with a page of the same blocks."""
