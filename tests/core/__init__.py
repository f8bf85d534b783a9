"""Laws of ``sync.core``: pure functions, tested without Django."""
