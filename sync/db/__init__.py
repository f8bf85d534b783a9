"""Thin database backends: Django's own, through which every write of the ORM is seen, and narrow tables WITHOUT ROWID."""
