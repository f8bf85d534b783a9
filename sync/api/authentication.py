"""Who sends a request: a replica on the trusted list, by the signature of its key."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock

from django.db import DatabaseError, IntegrityError, connection, transaction
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from sync import conf, http_signatures, local, trusting
from sync.api.problems import SyncProblem
from sync.core import signing
from sync.core.policy import Party, Role
from sync.core.token import REPLICA
from sync.db import sql
from sync.models import Nonce

MAX_BODY = 64 << 20  # bytes of one request


@dataclass(frozen=True, slots=True)
class PeerUser:
    """The replica that sent a request."""

    name: str
    party: Party
    key: str
    is_authenticated: bool = True


class PeerAuthentication(BaseAuthentication):
    """Takes requests that are signed by a trusted replica, meant for this one, made just now and never seen before."""

    max_body = MAX_BODY

    def authenticate(self, request: Request) -> tuple[PeerUser, None]:
        """Return the peer. Raises SyncProblem."""
        http = request._request
        peer = self.claimed(http)
        body = _read(http, self.max_body)
        created, nonce = _verified(http, body, peer.key)
        now, drift = local.now_ms(local.state()) // 1000, conf.max_clock_drift_ms() // 1000
        if abs(created - now) > drift:
            raise SyncProblem(401, "signature_stale", f"signed at {created}, it is {now} here; sign by this clock", now=now)
        if http.headers.get("sync-audience") != conf.name():
            raise SyncProblem(401, "wrong_audience", f"the request is meant for another replica; this is {conf.name()}")
        reads: frozenset[str] = getattr(request.parser_context.get("view"), "reads", frozenset())
        _spend(f"{peer.name} {nonce}"[:100], 2 * drift, only_reads=http.method in reads)
        http.peer_body = body  # type: ignore[attr-defined]
        return peer, None

    def claimed(self, http: HttpRequest) -> PeerUser:
        """Return who the request says it is from, with the key that the trusted list has for that name."""
        return _claimed(http)

    def authenticate_header(self, request: Request) -> str:
        """What is asked for: without it, DRF answers 403 where 401 is meant."""
        return f'Signature tag="{http_signatures.TAG}"'


def _read(http: HttpRequest, bound: int) -> bytes:
    try:
        length = int(http.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = bound + 1
    if length > bound:
        raise SyncProblem(413, "too_large", f"at most {bound} bytes are taken in one request; send less at once")
    return http.read(length) if length else b""


class NewcomerAuthentication(PeerAuthentication):
    """Takes requests that are signed by the key that they bring: who joins is on no list yet."""

    max_body = 64 << 10

    def claimed(self, http: HttpRequest) -> PeerUser:
        """Return who the request says it is from, with the key that it names."""
        key, name = _claimed_key(http), http.headers.get("sync-replica", "")
        try:
            signing.parse_key(key)
        except ValueError as error:
            raise SyncProblem(400, "malformed", str(error)) from None
        if not REPLICA.fullmatch(name):
            raise SyncProblem(400, "malformed", f"{name!r} is no name of a replica; one looks like EDGE07-LON")
        return PeerUser(name, Party(Role.EDGE), key)


def _claimed_key(http: HttpRequest) -> str:
    try:
        return http_signatures.key_id(http.headers)
    except http_signatures.UnsignedError as error:
        raise SyncProblem(401, "signature_missing", f"{error}; sign it as docs/sync-protocol.md says") from None


def _claimed(http: HttpRequest) -> PeerUser:
    claimed = _claimed_key(http)
    name = http.headers.get("sync-replica", "")
    entry = trusting.current().entries.get(name)
    if entry is None:
        raise SyncProblem(403, "replica_unknown", f"{name or 'nobody'} is not on the trusted list; a master must enter it")
    if entry.open is None:
        raise SyncProblem(403, "replica_revoked", f"{name} was taken off the trusted list")
    if claimed != entry.open.key:
        raise SyncProblem(403, "key_unknown", f"the trusted list has another key for {name}")
    return PeerUser(name, Party.named(name, entry.open.role, entry.open.farm), claimed)


def _verified(http: HttpRequest, body: bytes, key: str) -> tuple[int, str]:
    target = http.META.get("RAW_URI") or http.META.get("REQUEST_URI") or http.get_full_path()
    message = http_signatures.Message(http.method or "", f"http://{conf.name().lower()}{target}", dict(http.headers))
    try:
        return http_signatures.verify(message, body, key)
    except http_signatures.WrongSignatureError as error:
        raise SyncProblem(401, "signature_invalid", f"the signature does not belong to this request: {error}") from None


def _spend(nonce: str, seconds: int, only_reads: bool) -> None:
    """Keep the nonce until its time has passed, shared by all workers.

    Where it cannot be stored, as on a full disk, a request that ``only_reads`` is answered: see docs/decisions/0023.
    """
    now = timezone.now()
    if unwritten.holds(nonce):
        raise _replayed()
    try:
        with sql.without_waiting_for_the_disk(only_reads), transaction.atomic():
            expires = connection.ops.adapt_datetimefield_value(now + timedelta(seconds=seconds))
            sql.insert(Nonce._meta.db_table, ("nonce", "expires"), [(nonce, expires)])
    except IntegrityError:
        raise _replayed() from None
    except DatabaseError as error:
        if not only_reads:
            raise SyncProblem(503, "not_writable", f"this replica cannot write just now: {error}") from None
        if Nonce.objects.filter(nonce=nonce).exists() or not unwritten.spend(nonce, time.monotonic() + seconds):
            raise _replayed() from None
    if now.microsecond % 50 == 0:
        with contextlib.suppress(DatabaseError):
            Nonce.objects.filter(expires__lt=now).delete()


def _replayed() -> SyncProblem:
    return SyncProblem(401, "signature_replayed", "this request was sent before; sign each one anew")


class Unwritten:
    """Nonces that this process could not store, for as long as they are good."""

    def __init__(self, room: int = 100_000) -> None:
        self.room, self.expires, self.lock = room, dict[str, float](), Lock()

    def holds(self, nonce: str) -> bool:
        """Say whether a nonce was spent here, also after there is room on the disk again."""
        return nonce in self.expires

    def spend(self, nonce: str, expires: float) -> bool:
        """Keep a nonce; say whether it is new. With no room left nothing is."""
        with self.lock:
            if len(self.expires) >= self.room:
                self.expires = {each: end for each, end in self.expires.items() if end > time.monotonic()}
            if nonce in self.expires or len(self.expires) >= self.room:
                return False
            self.expires[nonce] = expires
            return True


unwritten = Unwritten()
