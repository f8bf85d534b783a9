"""The public site: publications, and nothing else, as pages, lists, feed, map and search."""
