"""What the form of one page needs of the database, read in a few queries whatever the number of blocks."""

from __future__ import annotations

from content.models import Asset, Block, Page
from content.publishing import in_order
from sync.versions import Versions, row_key

STEP = 10  # the form numbers blocks 10, 20, 30 …


class Loaded:
    """The blocks of ``page`` in their order, their positions in the form, and the assets that they and the page show.

    ``versions``: those that the form carries; None where it carries none that are true.
    """

    def __init__(self, page: Page) -> None:
        self.blocks: list[Block] = [] if page._state.adding else in_order(page.blocks.all())
        self.positions = {block.token: STEP * number for number, block in enumerate(self.blocks, start=1)}
        tokens = {str(block.data.get("asset") or "") for block in self.blocks if block.type == "image"}
        self.versions: Versions | None = page.__dict__.get("_versions")
        self.assets: dict[str, Asset] = {}
        self.look_up(tokens | {page.image_id or ""})

    def look_up(self, tokens: set[str]) -> None:
        """Read those of the assets ``tokens`` that were not read before. What is not here yet stays absent."""
        missing = tokens - self.assets.keys() - {""}
        if missing:
            self.assets.update(Asset.objects.in_bulk(list(missing)))


def loaded(page: Page) -> Loaded:
    """Return what belongs to ``page``, read once for each instance of it."""
    if "_editor_loaded" not in page.__dict__:
        page.__dict__["_editor_loaded"] = Loaded(page)
    result: Loaded = page.__dict__["_editor_loaded"]
    return result


def versions_of(token: str, all_shown: bool = False) -> Versions:
    """Return the versions of the page ``token`` and of its blocks. To be asked for before the rows themselves are read.

    ``all_shown``: what does not merge is shown in all its versions.
    """
    blocks = Block.objects.filter(parent=token).values_list("token", flat=True)
    return Versions.read([row_key(Page, token), *(row_key(Block, block) for block in blocks)], all_shown)
