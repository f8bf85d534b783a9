"""Ed25519 keys (RFC 8032): one pair for each replica. A public key is written ``ed25519:`` + base64 of its 32 bytes."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PREFIX = "ed25519:"
# What is signed says what it is, so that a signature of one kind is never taken for another.
CHANGESET_DOMAIN = b"edgecms changeset 1\n"
TIME_DOMAIN = b"edgecms time 1\n"


def key_text(key: Ed25519PublicKey) -> str:
    """Return the public key as text."""
    return PREFIX + base64.b64encode(key.public_bytes_raw()).decode()


def parse_key(text: str) -> Ed25519PublicKey:
    """Return the public key written as ``text``. Raises ValueError."""
    try:
        raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        if not text.startswith(PREFIX):
            raise ValueError
        return Ed25519PublicKey.from_public_bytes(raw)
    except (ValueError, binascii.Error):
        raise ValueError(f"{text!r} is not a key; one looks like {PREFIX} and 44 characters of base64") from None


def sign_changeset(key: Ed25519PrivateKey, id: bytes) -> bytes:
    """Return the origin's signature (64 bytes) of a changeset's id (32 bytes)."""
    return key.sign(CHANGESET_DOMAIN + id)


def _time(name: str, question: str, now_ms: int) -> bytes:
    return TIME_DOMAIN + f"{name} {question} {now_ms}".encode()


def sign_time(key: Ed25519PrivateKey, name: str, question: str, now_ms: int) -> str:
    """Return the signature, in base64, by which ``name`` says that it is ``now_ms``, to whoever asked ``question``."""
    return base64.b64encode(key.sign(_time(name, question, now_ms))).decode()


def is_time_signed_by(key: Ed25519PublicKey, name: str, question: str, now_ms: int, signature: str) -> bool:
    """Say whether ``signature`` is that of ``key`` over this time."""
    try:
        key.verify(base64.b64decode(signature, validate=True), _time(name, question, now_ms))
    except (InvalidSignature, binascii.Error):
        return False
    return True


def is_signed_by(key: Ed25519PublicKey, id: bytes, signature: bytes) -> bool:
    """Say whether ``signature`` is that of ``key`` over the changeset ``id``. 0.1 ms."""
    try:
        key.verify(signature, CHANGESET_DOMAIN + id)
    except InvalidSignature:
        return False
    return True
