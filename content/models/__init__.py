"""What is written, and who writes it."""

from content.models.accounts import Editor
from content.models.assets import Asset
from content.models.kinds import KINDS
from content.models.pages import Block, Page, Section
from content.models.public import PublicPage
from content.models.publications import Publication, Redirect
from content.models.submissions import Submission

__all__ = ["KINDS", "Asset", "Block", "Editor", "Page", "PublicPage", "Publication", "Redirect", "Section", "Submission"]
