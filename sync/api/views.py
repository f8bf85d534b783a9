"""The endpoints of the exchange. Each asks the one rule first whether the peer may."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any, cast

import orjson
from django.http import FileResponse, HttpResponse, HttpResponseBase, StreamingHttpResponse
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from sync import (
    blobs,
    clocks,
    conf,
    contacts,
    exchange,
    incoming,
    invites,
    jobs,
    keys,
    local,
    missing,
    ranges,
    refill,
    registers,
    signals,
    storage,
    trusting,
)
from sync.api.authentication import NewcomerAuthentication, PeerAuthentication, PeerUser
from sync.api.problems import SyncProblem, as_response
from sync.core import address, wire
from sync.core.errors import IncompleteStreamError, InviteError, MalformedError, NameTakenError, RejectedError, TooLargeError
from sync.core.policy import Role, Verb, may
from sync.core.trust import Open
from sync.ends import chains_here
from sync.models import MissingBlob
from sync.receive import receive

MAX_VALUES = 32 << 20  # bytes of values in one answer, but for one that is larger
SLICE = 64 << 10  # bytes
CHALLENGE = re.compile(r"[0-9a-f]{32,64}")
logger = logging.getLogger(__name__)


class PeerView(APIView):
    """A view for trusted replicas. ``verb``: what the peer does by calling it; None where everybody trusted may.

    ``reads``: the methods that change nothing here, and so are answered also where nothing can be written.
    """

    authentication_classes = [PeerAuthentication]
    permission_classes: list[Any] = []
    schema = None
    verb: Verb | None = None
    reads: frozenset[str] = frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, then ask the rule."""
        super().initial(request, *args, **kwargs)
        peer, me = self.peer(request), trusting.me()
        if self.verb is not None and not may(peer.party, self.verb, me):
            detail = f"{peer.name} ({peer.party.role}) may not {self.verb} {'from' if self.verb is Verb.PULL else 'to'} "
            raise SyncProblem(403, "not_allowed", f"{detail}{conf.name()} ({me.role})")

    @staticmethod
    def peer(request: Request) -> PeerUser:
        """Return the replica that sent the request."""
        return cast(PeerUser, request.user)

    def handle_exception(self, exc: Exception) -> Any:
        """Answer with a problem document, whatever the exception handler of the site is."""
        if known := storage.trouble(exc):
            logger.error("%s: %s", known.code, known)
            exc = SyncProblem(503, known.code, str(known))
        response = super().handle_exception(exc)
        if not isinstance(exc, APIException):
            return response
        document = as_response(exc)
        document.status_code = response.status_code
        if document.status_code == 401:
            document["WWW-Authenticate"] = PeerAuthentication().authenticate_header(self.request)
        return document

    @staticmethod
    def json(request: Request) -> dict[str, Any]:
        """Return the body as a JSON object."""
        try:
            value = orjson.loads(request._request.peer_body)  # type: ignore[attr-defined]
        except orjson.JSONDecodeError as error:
            raise SyncProblem(400, "malformed", f"the body is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise SyncProblem(400, "malformed", "the body is no JSON object")
        return value


class HelloView(PeerView):
    """Who is here, and whether there is anything to exchange."""

    reads = frozenset({"GET"})

    def get(self, request: Request) -> Response:
        """Answer with identity, clock and the summary of what both may hold; the peer may give its own as ``summary``."""
        me = trusting.me()
        summary, _ = _compared(request, self.peer(request))
        return Response(
            {
                "protocol": 1,
                "name": conf.name(),
                "role": me.role,
                "farm": me.farm,
                "key": keys.public_text(),
                **self._time(request),
                "summary": summary,
                "digest": registers.digest(),
                "blobs_missing": MissingBlob.objects.count(),
                "values_missing": missing.count(),
            }
        )

    @staticmethod
    def _time(request: Request) -> dict[str, Any]:
        """The time of day; signed where the peer asks for that, so that it can believe it."""
        now, question = local.now_ms(local.state()), request.query_params.get("challenge", "")
        signed = {"time_signature": clocks.sign(question, now)} if CHALLENGE.fullmatch(question) else {}
        return {"time": now, **signed}


def _compared(request: Request, peer: PeerUser) -> tuple[str, bool]:
    """Return the summary of what both may hold, and whether the peer gave the same one; then it is known to hold just that."""
    me = trusting.me()
    held = chains_here().between(me, peer.party)
    is_same = request.query_params.get("summary") == held.summary
    if is_same:
        # How many values it lacks is said here, of which changesets is not.
        lacking: list[bytes] | None = [] if not _number(request, "values_missing") else None
        contacts.saw_all_of(peer.name, held, lacking)
    return held.summary, is_same


class TipsView(PeerView):
    """Which changesets are here, by the ends of their chains."""

    reads = frozenset({"GET"})

    def get(self, request: Request) -> Response:
        """Answer with the tips of what both may hold, and the digests of blobs that have not come yet."""
        me, peer = trusting.me(), self.peer(request).party
        absent = MissingBlob.objects.values_list("digest", flat=True)[:1000]
        return Response(
            {
                "tips": exchange.tips_as_json(exchange.tips_between(me, peer)),
                "blobs_missing": list(absent),
                "values_missing": missing.pairs_for(me, peer),
            }
        )


class PullView(PeerView):
    """The peer fetches what it lacks."""

    reads = frozenset({"POST"})

    verb = Verb.PULL

    def post(self, request: Request) -> HttpResponseBase:
        """Answer with a stream of what the peer, which has the tips ``have``, lacks."""
        try:
            body = self.json(request)
            have, asks_again = exchange.tips_from_json(body.get("have", [])), body.get("asks_again") is True
            lacking = missing.lacking(missing.pairs_from_json(body.get("values_missing")))
        except MalformedError as error:
            raise SyncProblem(400, error.code, str(error)) from None
        me, peer = trusting.me(), self.peer(request)
        contacts.saw(peer.name, have, lacking)
        stream = exchange.stream(have, me, peer.party, asks_again, missing.pairs_for(me, peer.party))
        return StreamingHttpResponse(_as_far_as_possible(stream), content_type=wire.MEDIA_TYPE)


def _as_far_as_possible(stream: Iterator[bytes]) -> Iterator[bytes]:
    """Yield ``stream``. Where the database goes away it ends early: without its last line the peer knows that it was cut."""
    try:
        yield from stream
    except Exception as error:
        known = storage.trouble(error)
        if known is None:
            raise
        logger.error("%s: %s", known.code, known)


class PushView(PeerView):
    """The peer hands over what this replica lacks."""

    verb = Verb.PUSH

    def post(self, request: Request) -> Response:
        """Apply the frames in the body; a whole frame is applied or refused by itself.

        The peer may give the ``summary`` of what it holds.
        """
        peer = self.peer(request)
        try:
            frames = wire.frames(_slices(request._request.peer_body))  # type: ignore[attr-defined]
            with signals.brought_by(peer.name):
                receipt = receive(frames)
        except TooLargeError as error:
            raise SyncProblem(413, error.code, str(error)) from None
        except (MalformedError, IncompleteStreamError, RejectedError) as error:
            raise SyncProblem(400, error.code, str(error)) from None
        if "summary" in request.query_params:
            _compared(request, peer)
        return Response(
            {
                "received": receipt.received,
                "applied": receipt.applied,
                "quarantined": receipt.quarantined,
                "held": receipt.held,
                "refused": receipt.refused,
                "blobs_missing": list(MissingBlob.objects.values_list("digest", flat=True)[:1000]),
                "values_missing": missing.pairs_for(trusting.me(), peer.party),
            }
        )


class ValuesView(PeerView):
    """Values that travelled without their changesets: fetched by digest, or handed over where they are wanted."""

    reads = frozenset({"POST"})

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Fetching is pulling, handing over is pushing."""
        self.verb = Verb.PUSH if request.method == "PUT" else Verb.PULL
        super().initial(request, *args, **kwargs)

    def post(self, request: Request) -> HttpResponseBase:
        """Answer with a stream of those values that are here, as far as one answer goes."""
        try:
            wanted = missing.pairs_from_json(self.json(request).get("wanted"))
        except MalformedError as error:
            raise SyncProblem(400, error.code, str(error)) from None
        texts = _bounded(missing.texts(wanted, trusting.me(), self.peer(request).party), MAX_VALUES)
        return StreamingHttpResponse(missing.bodies(texts, wire.FRAME_BYTES), content_type=wire.MEDIA_TYPE)

    def put(self, request: Request) -> Response:
        """Keep the values in the body that are wanted here; answer with what is wanted then."""
        try:
            for texts in wire.texts(_slices(request._request.peer_body)):  # type: ignore[attr-defined]
                refill.take(texts)
        except TooLargeError as error:
            raise SyncProblem(413, error.code, str(error)) from None
        except (MalformedError, IncompleteStreamError) as error:
            raise SyncProblem(400, error.code, str(error)) from None
        return Response({"values_missing": missing.pairs_for(trusting.me(), self.peer(request).party)})


def _bounded(texts: Iterator[bytes], size: int) -> Iterator[bytes]:
    for text in texts:
        yield text
        size -= len(text)
        if size <= 0:
            return


class VerifyView(PeerView):
    """The peer compares what it holds with what is here: sums over ranges of rows, then single rows."""

    reads = frozenset({"POST"})

    verb = Verb.PULL

    def post(self, request: Request) -> Response:
        """Answer with what was asked for: the models and tips here, and rows that nobody has written; ``ranges``; or ``rows``."""
        body, me, peer = self.json(request), trusting.me(), self.peer(request).party
        try:
            fields = ranges.fields_of_both(body.get("models", {}))
            if "ranges" in body:
                return Response({"ranges": ranges.answer(ranges.asked(body["ranges"]), me, peer, fields)})
            if "rows" in body:
                return Response({"rows": ranges.named(ranges.names(body["rows"]), me, peer, fields)})
        except MalformedError as error:
            raise SyncProblem(400, error.code, str(error)) from None
        found = {"models": ranges.own_fields(), "tips": exchange.tips_as_json(exchange.tips_between(me, peer))}
        return Response({**found, "unwritten": ranges.strays_as_json(fields)} if body.get("unwritten") else found)


class BlobView(PeerView):
    """One blob: fetched in pieces by its digest, or handed over in pieces where it is wanted."""

    reads = frozenset({"GET"})

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Fetching is pulling, handing over is pushing."""
        self.verb = Verb.PUSH if request.method == "PUT" else Verb.PULL
        super().initial(request, *args, **kwargs)

    def get(self, request: Request, digest: str) -> HttpResponseBase:
        """Answer with the bytes from ``offset`` on."""
        if not blobs.has(digest):
            raise SyncProblem(404, "blob_absent", f"the blob {digest} is not here")
        size, offset = blobs.path(digest).stat().st_size, _number(request, "offset")
        if offset > size:
            raise SyncProblem(400, "malformed", f"offset is {offset}; the blob has {size} bytes")
        file = blobs.path(digest).open("rb")
        file.seek(offset)
        response = FileResponse(file, content_type="application/octet-stream")
        response["Sync-Blob-Size"] = str(size)
        return response

    def put(self, request: Request, digest: str) -> HttpResponse:
        """Keep a piece at ``offset`` of ``total`` bytes; answer 200 when the blob is whole, 202 with what is here until then."""
        if blobs.has(digest):
            return Response({"held": _number(request, "total")})
        if not MissingBlob.objects.filter(digest=digest).exists():
            raise SyncProblem(409, "blob_not_wanted", f"nothing here names the blob {digest}")
        piece: bytes = request._request.peer_body  # type: ignore[attr-defined]
        try:
            held = incoming.add_piece(digest, _number(request, "offset"), piece, _number(request, "total"))
            incoming.settle(digest)
        except blobs.BlobError as error:
            raise SyncProblem(400, "blob_wrong", str(error)) from None
        return Response({"held": held}, status=200 if blobs.has(digest) else 202)


def _slices(body: bytes) -> Iterator[bytes]:
    """Cut ``body`` into pieces: reading frames from the whole would copy what is left of it for each of them."""
    return (body[start : start + SLICE] for start in range(0, len(body), SLICE))


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "0")
    if not text.isdecimal():
        raise SyncProblem(400, "malformed", f"{name} is {text!r}; a number is needed")
    return int(text)


class JoinView(PeerView):
    """A new replica comes in by an invitation; its request is signed by the key that it brings."""

    authentication_classes = [NewcomerAuthentication]

    def post(self, request: Request) -> Response:
        """Enter the newcomer on the trusted list."""
        body, peer = self.json(request), self.peer(request)
        try:
            url = str(body.get("url", ""))
            farm = address.farm(str(body.get("farm", "")))
            wanted = Open(Role(str(body.get("role"))), farm, url and address.origin(url), peer.key)
            invites.accept(str(body.get("secret", "")), peer.name, wanted)
        except ValueError as error:
            raise SyncProblem(400, "malformed", str(error)) from None
        except (InviteError, NameTakenError) as error:
            raise SyncProblem(403, error.code, str(error)) from None
        return Response({"name": conf.name(), "trusted": peer.name})


class WakeView(PeerView):
    """The peer says that it has something new. Only a hint: the sweep finds it without."""

    def post(self, request: Request) -> Response:
        """Pull from the peer soon, if this replica may; unless the ``summary`` that the peer gives is that of what is here."""
        peer = self.peer(request)
        if may(trusting.me(), Verb.PULL, peer.party) and not (
            "summary" in request.query_params and _compared(request, peer)[1]
        ):
            jobs.wake(peer.name)
        return Response(status=204)
