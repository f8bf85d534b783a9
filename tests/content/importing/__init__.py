"""Importing: what a folder of Markdown becomes."""
