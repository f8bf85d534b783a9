"""Plain Django forms for pages and for each type of block."""
