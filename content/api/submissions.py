"""``submissions/``: visitors send, and get a receipt; staff read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, flock
from ipaddress import ip_address, ip_network
from typing import Any
from zlib import crc32

import orjson
from django.conf import settings
from django.db import connection, transaction
from django_filters import FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, mixins, serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle

from content.api.access import Access
from content.api.values import Strict, check_json
from content.models import Page, Submission
from sync import conf

logger = logging.getLogger(__name__)

MAX_BODY = 64 << 10  # bytes
MAX_DEPTH = 5  # levels inside ``data``
LOCKS = 64  # files by which submissions are counted one after the other
MAX_KEYS = 200  # of ``data``


class KeyReused(exceptions.APIException):
    """The idempotency key belongs to another submission."""

    status_code = 409
    default_code = "idempotency_key_reused"
    default_detail = "Something else was sent with this idempotency_key before; send a new one with a new key."


class SubmissionThrottle(SimpleRateThrottle):
    """Bounds what one address may send, counted for all workers together. Reading is not counted."""

    rate = "30/min"
    scope = "submissions"

    def allow_request(self, request: Request, view: Any) -> bool:
        if request.method != "POST":
            return True
        try:
            with one_at_a_time(self.get_ident(request)):  # to count is to read and to write
                return super().allow_request(request, view)
        except Exception as error:  # whatever a cache raises that is away: what a visitor sends is worth more than the bound
            logger.warning("submissions are not counted, for the cache does not answer: %s", error)
            with suppress(Exception):
                self.cache.delete(self.key)  # it may be damaged
            return True

    def get_cache_key(self, request: Request, view: Any) -> str:
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}

    def get_ident(self, request: Request) -> str:
        """Return the address of the connection, or what a trusted proxy has written last; what stands before that, anybody may write."""
        remote, forwarded = request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", "")
        return forwarded.rpartition(",")[2].strip() if forwarded and is_proxy(remote) else remote


def is_proxy(remote: str) -> bool:
    """Say whether what connects from ``remote`` is believed: it comes over a Unix socket, or ``TRUSTED_PROXIES`` has it or its network."""
    proxies = [proxy.strip() for proxy in settings.TRUSTED_PROXIES if proxy.strip()]
    if not remote or "*" in proxies or remote in proxies:
        return True
    try:
        return any(ip_address(remote) in ip_network(proxy, strict=False) for proxy in proxies)
    except ValueError:
        return False


@contextmanager
def one_at_a_time(ident: str) -> Iterator[None]:
    """Let one process and one thread of this replica after the other pass, of those that ask for ``ident``, or for few others."""
    place = conf.data() / "cache"
    place.mkdir(parents=True, exist_ok=True)
    with (place / f"submissions-{crc32(ident.encode()) % LOCKS}.lock").open("w") as lock:
        flock(lock, LOCK_EX)  # given back when the file is closed
        yield


class Receipt(serializers.ModelSerializer):
    """What the visitor keeps."""

    class Meta:
        model = Submission
        fields = ["token", "created"]


class SubmissionSerializer(Strict, serializers.ModelSerializer):
    """What was sent."""

    page = serializers.CharField(required=False, allow_null=True, source="page_id", max_length=64, help_text="token of a page")
    data = serializers.DictField()  # type: ignore[assignment]

    class Meta:
        model = Submission
        fields = ["token", "page", "farm", "form", "data", "idempotency_key", "created"]
        read_only_fields = ["token", "farm", "created"]

    def validate_page(self, token: str | None) -> str | None:
        """The page must be public here."""
        if token and not Page.objects.filter(token=token, publication__isnull=False).exists():
            raise serializers.ValidationError("There is no such public page.", code="does_not_exist")
        return token or None

    def validate_data(self, data: dict[str, Any]) -> dict[str, Any]:
        """Bound how deep and how wide it is."""
        if len(data) > MAX_KEYS:
            raise serializers.ValidationError(f"At most {MAX_KEYS} fields can be sent.")
        return check_json(data, MAX_DEPTH)


class SubmissionFilter(FilterSet):
    """``form``, ``farm``, ``page``."""

    class Meta:
        model = Submission
        fields = ["form", "farm", "page"]


class SubmissionsView(Access, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """What visitors sent. Append-only."""

    queryset = Submission.objects.all()
    serializer_class = SubmissionSerializer
    filterset_class = SubmissionFilter
    throttle_classes = [SubmissionThrottle]
    max_body = MAX_BODY
    needs = {"list": ("content.view_submission",), "retrieve": ("content.view_submission",)}

    @extend_schema(responses={201: Receipt, 200: Receipt})
    def create(self, request: Request) -> Response:
        """Send. 201 with a receipt; the same again, with the same key, gets the same receipt with 200."""
        serializer = SubmissionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        submission, created = submit(serializer.validated_data)
        return Response(Receipt(submission).data, status=201 if created else 200)


def submit(values: dict[str, Any]) -> tuple[Submission, bool]:
    """Store one submission, or return the one that has its key. Raises KeyReused where that one says something else."""
    with transaction.atomic():
        _one_at_a_time(values["idempotency_key"])
        earlier = Submission.objects.filter(idempotency_key=values["idempotency_key"]).order_by("token").first()
        if earlier is None:
            return Submission.objects.create(farm=conf.farm(), **values), True
    if any(getattr(earlier, name) != values.get(name) for name in ("page_id", "form")) or not _same(
        earlier.data, values["data"]
    ):
        raise KeyReused
    return earlier, False


def _same(left: Any, right: Any) -> bool:
    return orjson.dumps(left, option=orjson.OPT_SORT_KEYS) == orjson.dumps(right, option=orjson.OPT_SORT_KEYS)


def _one_at_a_time(key: str) -> None:
    """Let requests with one key pass one after the other. On SQLite every writing transaction does so already."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"submission {key}"])
