"""Pages as their editors see them: the rows, and their blocks as a list."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from content.api.values import Strict, check_json
from content.api.versions import VersionedSerializer, changed, see
from content.blocks import TYPES, clean_data
from content.models import Asset, Block, Page, Section
from content.ordering import spread
from sync.versions import Versions, row_key

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


class PageSerializer(VersionedSerializer, Strict, serializers.ModelSerializer):
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
            "hidden_from_search", "published", "created", "updated", "blocks", "versions",
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
        validated_data.pop("versions", None)
        page = Page.objects.create(**validated_data)
        write_blocks(page, blocks)
        return page

    def update(self, instance: Page, validated_data: dict[str, Any]) -> Page:
        """Write the fields that differ, and the blocks where they were given: what is not in their list is deleted."""
        blocks, versions = validated_data.pop("blocks", None), validated_data.pop("versions", None)
        see(versions, [instance], list(validated_data))
        names = changed(instance, validated_data)
        if write_blocks(instance, blocks, versions) or names:
            instance.save(update_fields=[*names, "updated"])
        return instance


class PageListSerializer(PageSerializer):
    """A draft in a list: without its blocks and versions."""

    blocks = None  # type: ignore[assignment]
    versions = None  # type: ignore[assignment]

    class Meta(PageSerializer.Meta):
        fields = [name for name in PageSerializer.Meta.fields if name not in ("blocks", "versions")]


def write_blocks(page: Page, blocks: list[dict[str, Any]] | None, versions: Versions | None = None) -> bool:
    """Make the blocks of ``page`` be ``blocks``, in that order, writing only rows that differ. Say whether any did.

    With ``versions``, blocks that came since stay, and so does what was written since into those that are left out.
    """
    if blocks is None:
        return False
    own = {block.token: block for block in page.blocks.all()}
    see(versions, list(own.values()), ["data"])
    keys = order([ordering_seen(own[block["token"]]) if "token" in block else None for block in blocks])
    written = [_write(page, own.pop(block.get("token", ""), None), block, key) for block, key in zip(blocks, keys, strict=True)]
    left_out = [block for block in own.values() if versions is None or row_key(Block, block.token) in versions.rows]
    for block in left_out:
        block.delete()
    return any(written) or bool(left_out)


def ordering_seen(block: Block) -> str:
    """Return the place of ``block`` as the client knows it."""
    return str(block.__dict__["_values_seen"]["ordering"])


def _write(page: Page, row: Block | None, block: dict[str, Any], key: str) -> bool:
    if row is None:
        Block.objects.create(parent=page, type=block["type"], data=block["data"], ordering=key)
        return True
    names = changed(row, {"data": block["data"], "ordering": key})
    if names:
        row.save(update_fields=names)
    return bool(names)


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
