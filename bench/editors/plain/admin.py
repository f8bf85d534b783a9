"""One form for the page and its blocks, of Django's own parts."""

from django.contrib import admin
from django.forms import HiddenInput

from bench.editors.plain.models import KINDS, Page


class BlockInline(admin.StackedInline):
    """Blocks of one type; where they stand is hidden, as in edgecms."""

    extra = 0

    def formfield_for_dbfield(self, db_field, request, **kwargs):
        hidden = {"widget": HiddenInput} if db_field.name in ("region", "ordering") else {}
        return super().formfield_for_dbfield(db_field, request, **hidden, **kwargs)


@admin.register(Page)
class PageAdmin(admin.ModelAdmin):
    """Pages."""

    inlines = [type(f"{model.__name__}Inline", (BlockInline,), {"model": model}) for model in KINDS.values()]
