"""Pages as their editors see them: the rows, and their blocks as a list."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from content.api.values import Strict, check_json
from content.blocks import TYPES, clean_data
from content.models import Asset, Block, Page, Section
from content.ordering import spread

MAX_BLOCKS = 2000


@extend_schema_field(str)
class SectionField(serializers.Field):
    """A section, named by token or slug; shown as its token."""

    def get_attribute(self, instance: Page) -> str:
        return instance.section_id

    def to_representation(self, value: str) -> str:
        return value

    def to_internal_value(self, data: Any) -> Section:
        named = Section.objects.filter(Q(token=data) | Q(slug=data)) if isinstance(data, str) and "\0" not in data else None
        section = named.order_by("token").first() if named is not None else None
        if section is None:
            raise serializers.ValidationError(f"There is no section with the token or slug {data!r}.", code="does_not_exist")
        return section


class BlockSerializer(Strict):
    """A block: ``data`` has the keys of its type. With a ``token`` it is a block that the page has already."""

    token = serializers.CharField(required=False)
    type = serializers.ChoiceField(choices=sorted(TYPES))
    data = serializers.DictField(default=dict)  # type: ignore[assignment]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse keys that the type does not have and addresses that cannot be shown; make the rest safe."""
        data = check_json(attrs["data"])
        unknown = sorted(set(data) - set(TYPES[attrs["type"]].clean))
        if unknown:
            known = ", ".join(TYPES[attrs["type"]].clean)
            raise serializers.ValidationError({"data": f"Unknown: {', '.join(unknown)}. A {attrs['type']} has {known}."})
        clean = clean_data(attrs["type"], data)
        if data.get("url") and not clean["url"]:
            raise serializers.ValidationError({"data": "The url must begin with https://"})
        return {**attrs, "data": clean}


class PageSerializer(Strict, serializers.ModelSerializer):
    """A page as it is stored now, with its blocks."""

    section = SectionField(help_text="token or slug")
    tags = serializers.ListField(child=serializers.CharField(max_length=100), required=False, max_length=100)
    authors = serializers.ListField(child=serializers.CharField(max_length=200), required=False, max_length=100)
    image = serializers.PrimaryKeyRelatedField(queryset=Asset.objects.all(), allow_null=True, required=False)
    published = serializers.SerializerMethodField()
    blocks = BlockSerializer(many=True, required=False, max_length=MAX_BLOCKS)  # type: ignore[call-arg]

    class Meta:
        model = Page
        fields = [
            "token", "slug", "title", "section", "summary", "tags", "authors", "date", "image", "seo_title", "seo_description",
            "hidden_from_search", "published", "created", "updated", "blocks",
        ]  # fmt: skip
        read_only_fields = ["token", "slug", "created", "updated"]

    def get_published(self, page: Page) -> bool:
        """Whether the public sees a version of this page."""
        return page.publication_id is not None

    def validate_tags(self, tags: list[str]) -> list[str]:
        """Tags are a set, kept sorted."""
        return sorted(set(tags))

    def validate_blocks(self, blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """A token must name a block of this page, and only once, with the type that it has."""
        own = {block.token: block.type for block in self.instance.blocks.all()} if isinstance(self.instance, Page) else {}
        for block in blocks:
            if "token" in block and own.pop(block["token"], None) != block["type"]:
                message = f"This page has no {block['type']} {block['token']}, or it is named twice; leave the token out."
                raise serializers.ValidationError(message)
        return blocks

    def create(self, validated_data: dict[str, Any]) -> Page:
        """Make the page and its blocks."""
        blocks = validated_data.pop("blocks", [])
        page = Page.objects.create(**validated_data)
        write_blocks(page, blocks)
        return page

    def update(self, instance: Page, validated_data: dict[str, Any]) -> Page:
        """Write the fields that differ, and the blocks where they were given: what is not in their list is deleted."""
        blocks = validated_data.pop("blocks", None)
        changed = [name for name, value in validated_data.items() if getattr(instance, name) != value]
        for name in changed:
            setattr(instance, name, validated_data[name])
        if write_blocks(instance, blocks) or changed:
            instance.save(update_fields=[*changed, "updated"])
        return instance


class PageListSerializer(PageSerializer):
    """A draft in a list: without its blocks."""

    blocks = None  # type: ignore[assignment]

    class Meta(PageSerializer.Meta):
        fields = [name for name in PageSerializer.Meta.fields if name != "blocks"]


def write_blocks(page: Page, blocks: list[dict[str, Any]] | None) -> bool:
    """Make the blocks of ``page`` be ``blocks``, in that order, writing only rows that differ. Say whether any did."""
    if blocks is None:
        return False
    own = {block.token: block for block in page.blocks.all()}
    keys = order([own[block["token"]].ordering if "token" in block else None for block in blocks])
    changed = [_write(page, own.pop(block.get("token", ""), None), block, key) for block, key in zip(blocks, keys, strict=True)]
    for block in own.values():
        block.delete()
    return any(changed) or bool(own)


def _write(page: Page, row: Block | None, block: dict[str, Any], key: str) -> bool:
    if row is None:
        Block.objects.create(parent=page, type=block["type"], data=block["data"], ordering=key)
        return True
    changed = [name for name, value in (("data", block["data"]), ("ordering", key)) if getattr(row, name) != value]
    row.data, row.ordering = block["data"], key
    if changed:
        row.save(update_fields=changed)
    return bool(changed)


def order(keys: list[str | None]) -> list[str]:
    """Return ascending keys: those of ``keys`` that ascend already are kept, the others are made anew between them."""
    result: list[str] = []
    low, pending = "", 0
    for key in keys:
        if key is None or key <= low:
            pending += 1
            continue
        result += [*spread(pending, low, key), key]
        low, pending = key, 0
    return result + spread(pending, low, "")
