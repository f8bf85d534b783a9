"""The admin of content: the editor of pages, and what stands around it."""

from content.admin import accounts, assets, conflicts, pages, records

__all__ = ["accounts", "assets", "conflicts", "pages", "records"]
