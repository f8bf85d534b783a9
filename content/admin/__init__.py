"""The admin of content: the editor of pages, and what stands around it."""

from content.admin import accounts, assets, pages, records

__all__ = ["accounts", "assets", "pages", "records"]
