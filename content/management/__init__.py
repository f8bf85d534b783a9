"""Commands for those who run the content."""
