"""Signed requests between replicas: HTTP Message Signatures (RFC 9421, Ed25519) with Content-Digest (RFC 9530).

A signature covers method, path, query, body digest, body type, who sends it and for whom it is meant; it carries the time, and a
nonce that is spent once. So a captured request is of no use: not later, not elsewhere, not to another peer.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from sync.core import signing

TAG = "edgecms-sync-1"
ANY_TIME = timedelta(days=36500)  # the caller compares times itself, with an answer of its own
COVERED = ("@method", "@path", "@query", "content-digest", "content-type", "sync-replica", "sync-audience")


class UnsignedError(ValueError):
    """The request carries no signature that could be checked."""


class WrongSignatureError(ValueError):
    """The signature does not belong to the request, or the digest not to its body."""


@dataclass(slots=True)
class Message:
    """What is signed of a request."""

    method: str
    url: str
    headers: Any


_COMPONENTS = " ".join(f'"{name}"' for name in COVERED)
_PARAMETERS = f'({_COMPONENTS});created={{}};keyid="{{}}";alg="ed25519";nonce="{{}}";tag="{TAG}"'
# What our own requests look like, to the byte. Whatever else RFC 9421 lets a signature look like is read by the library.
_INPUT = re.compile(
    re.escape(f"sync=({_COMPONENTS});created=")
    + rf'(\d{{1,11}});keyid="([\w:+/=]+)";alg="ed25519";nonce="([\w-]{{1,64}})";tag="{TAG}"',
    re.A,
)
_SIGNATURE = re.compile(r"sync=:([A-Za-z0-9+/]{86}==):")
_URL = re.compile(r"http://[a-z0-9-]+/[!-~]*")  # as a receiver puts it together: of a name and of what was asked for
_PLAIN = re.compile(r"[!-~]([ -~]*[!-~])?")  # a value that stands in what is signed just as it is in the header


class _Keys(HTTPSignatureKeyResolver):
    """Answers with the one key at hand."""

    def __init__(self, public: str) -> None:
        self.public = public

    def resolve_private_key(self, key_id: str) -> Any:
        raise NotImplementedError

    def resolve_public_key(self, key_id: str) -> Any:
        return signing.parse_key(self.public) if key_id == self.public else None


def _digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def _base(message: Message, headers: Mapping[str, str], parameters: str) -> bytes | None:
    """Return the bytes that are signed (RFC 9421, section 2.5); None where a header is not there or not plain text."""
    values = [headers.get(name, "") for name in COVERED[3:]]
    if not all(map(_PLAIN.fullmatch, values)):
        return None
    target = urlsplit(message.url)
    found = zip(COVERED, [message.method, target.path or "/", f"?{target.query}", *values], strict=True)
    lines = [f'"{name}": {value}' for name, value in found]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()


def sign(message: Message, body: bytes, *, key: Ed25519PrivateKey, replica: str, audience: str, now: int) -> None:
    """Add to the headers of ``message`` all that a peer asks for. ``now``: seconds since 1970, as the peer's clock has it."""
    message.headers["sync-replica"] = replica
    message.headers["sync-audience"] = audience
    message.headers.setdefault("content-type", "application/octet-stream")
    message.headers["Content-Digest"] = _digest(body)
    parameters = _PARAMETERS.format(now, signing.key_text(key.public_key()), secrets.token_urlsafe(18))
    base = _base(message, _lower(message.headers), parameters)
    if base is None:
        raise ValueError(f"the headers {message.headers} cannot be signed")
    message.headers["Signature-Input"] = f"sync={parameters}"
    message.headers["Signature"] = f"sync=:{base64.b64encode(key.sign(base)).decode()}:"


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def key_id(headers: Mapping[str, str]) -> str:
    """Return the key that a request claims to be signed with. Raises UnsignedError."""
    given = headers.get("signature-input", "")
    start = given.find(';keyid="')
    if start < 0 or not headers.get("signature"):
        raise UnsignedError("the request is not signed")
    return given[start + 8 :].split('"', 1)[0]


def verify(message: Message, body: bytes, public: str) -> tuple[int, str]:
    """Check the signature of ``message`` by the key ``public``; return its time (seconds) and its nonce.

    Raises WrongSignatureError. Whether the time is near and the nonce new is for the caller to ask.
    """
    return _verified(message, body, public) or _verified_by_the_library(message, body, public)


def _verified_by_the_library(message: Message, body: bytes, public: str) -> tuple[int, str]:
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=_Keys(public))
    verifier.max_clock_skew = ANY_TIME
    try:
        results = verifier.verify(message, max_age=None, expect_tag=TAG, require_components=COVERED, body=body)
    except (HTTPMessageSignaturesException, ValueError) as error:
        raise WrongSignatureError(str(error)) from None
    if len(results) != 1 or not results[0].nonce:
        raise WrongSignatureError("exactly one signature with a nonce is taken")
    return int(results[0].parameters["created"]), results[0].nonce


def _verified(message: Message, body: bytes, public: str) -> tuple[int, str] | None:
    """Do the same for a request that is signed as ours are, in a third of the time; None where it is not, or wrongly."""
    headers = _lower(message.headers)
    given, signature = headers.get("signature-input", ""), _SIGNATURE.fullmatch(headers.get("signature", ""))
    parameters = _INPUT.fullmatch(given)
    if (
        parameters is None
        or signature is None
        or not _URL.fullmatch(message.url)
        or parameters[2] != public
        or headers.get("content-digest") != _digest(body)
    ):
        return None
    base = _base(message, headers, given.removeprefix("sync="))
    try:
        if base is None:
            return None
        signing.parse_key(public).verify(base64.b64decode(signature[1]), base)
    except InvalidSignature:
        return None
    return int(parameters[1]), parameters[3]
