"""A small Wagtail site for ``bench.pages``; runs in an environment of its own."""
