"""Signed requests between replicas: HTTP Message Signatures (RFC 9421, Ed25519) with Content-Digest (RFC 9530).

A signature covers method, path, query, body digest, body type, who sends it and for whom it is meant; it carries the time, and a
nonce that is spent once. So a captured request is of no use: not later, not elsewhere, not to another peer.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from sync.core import signing

TAG = "edgecms-sync-1"
ANY_TIME = timedelta(days=36500)  # the caller compares times itself, with an answer of its own
MAX_NONCE = 64  # characters
COVERED = ("@method", "@path", "@query", "content-digest", "content-type", "sync-replica", "sync-audience")


class UnsignedError(ValueError):
    """The request carries no signature that could be checked."""


class WrongSignatureError(ValueError):
    """The signature does not belong to the request, or the digest not to its body."""


class WrongAddressError(ValueError):
    """What is to be signed is for no address."""


@dataclass(slots=True)
class Message:
    """What is signed of a request."""

    method: str
    url: str
    headers: Any


class _Keys(HTTPSignatureKeyResolver):
    """Answers with the one key at hand."""

    def __init__(self, private: Ed25519PrivateKey | None = None, public: str = "") -> None:
        self.private, self.public = private, public

    def resolve_private_key(self, key_id: str) -> Any:
        return self.private

    def resolve_public_key(self, key_id: str) -> Any:
        return signing.parse_key(self.public) if key_id == self.public else None


def sign(message: Message, body: bytes, *, key: Ed25519PrivateKey, replica: str, audience: str, now: int) -> None:
    """Add to the headers of ``message`` all that a peer asks for. ``now``: seconds since 1970, as the peer's clock has it.

    Raises WrongAddressError.
    """
    message.headers["sync-replica"] = replica
    message.headers["sync-audience"] = audience
    message.headers.setdefault("content-type", "application/octet-stream")
    signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=_Keys(private=key))
    try:
        signer.sign(
            message,
            key_id=signing.key_text(key.public_key()),
            created=datetime.fromtimestamp(now, UTC),
            nonce=secrets.token_urlsafe(18),
            label="sync",
            tag=TAG,
            covered_component_ids=COVERED,
            body=body,
        )
    except HTTPMessageSignaturesException as error:
        raise WrongAddressError(str(error)) from None


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
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=_Keys(public=public))
    verifier.max_clock_skew = ANY_TIME
    try:
        results = verifier.verify(message, max_age=None, expect_tag=TAG, require_components=COVERED, body=body)
    except (HTTPMessageSignaturesException, ValueError) as error:
        raise WrongSignatureError(str(error)) from None
    nonce = (results[0].nonce if len(results) == 1 else None) or ""
    if not 0 < len(nonce) <= MAX_NONCE:
        raise WrongSignatureError(f"exactly one signature with a nonce of 1 to {MAX_NONCE} characters is taken")
    return int(results[0].parameters["created"]), nonce
