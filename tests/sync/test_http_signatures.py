"""Requests are signed and verified to the byte as the library for RFC 9421 does it, in a fraction of its time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import http_signatures
from sync.core import signing

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = signing.key_text(KEY.public_key())
NOW = 1795357900
plain = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20).filter(
    lambda text: text == text.strip()
)
targets = st.sampled_from(
    ["/sync/v1/pull", "/sync/v1/hello?summary=ab&x=", "/a?", "/a?b?c", "/%2F;x=1?a=%20#f", "//b/c?d", "/"]
)
methods = st.sampled_from(["GET", "POST", "PUT"])


def signed(method: str, target: str, body: bytes, kind: str, audience: str) -> http_signatures.Message:
    """Return a request as we sign it."""
    message = http_signatures.Message(method, f"http://any{target}", {"content-type": kind})
    http_signatures.sign(message, body, key=KEY, replica="EDGE01-LON", audience=audience, now=NOW)
    return message


def verdict(verify: object, message: http_signatures.Message, body: bytes) -> object:
    """Return what ``verify`` says, or that it refuses."""
    try:
        return verify(message, body, PUBLIC) or "refused"  # type: ignore[operator]
    except http_signatures.WrongSignatureError:
        return "refused"


@given(methods, targets, st.binary(max_size=40), plain, plain)
def test_what_we_sign_the_library_verifies(method, target, body, kind, audience):
    """And so do we; both find the same time and nonce."""
    message = signed(method, target, body, kind, audience)
    found = http_signatures._verified(message, body, PUBLIC)
    assert found is not None and found[0] == NOW
    assert found == http_signatures._verified_by_the_library(message, body, PUBLIC)


@given(methods, targets, st.binary(max_size=40), plain)
def test_what_the_library_signs_is_what_we_sign(method, target, body, kind):
    """The same headers for the same time and nonce: an older release signs so."""

    class Keys(HTTPSignatureKeyResolver):
        def resolve_private_key(self, key_id: str) -> object:
            return KEY

        resolve_public_key = resolve_private_key

    ours = signed(method, target, body, kind, "MASTER01-LON")
    names = ("content-type", "sync-replica", "sync-audience")
    theirs = http_signatures.Message(method, ours.url, {name: ours.headers[name] for name in names})
    nonce = ours.headers["Signature-Input"].split('nonce="')[1].split('"')[0]
    HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=Keys()).sign(
        theirs,
        key_id=PUBLIC,
        created=datetime.fromtimestamp(NOW, UTC),
        nonce=nonce,
        label="sync",
        tag=http_signatures.TAG,
        covered_component_ids=http_signatures.COVERED,
        body=body,
    )
    assert theirs.headers == ours.headers


@settings(max_examples=300)
@given(st.data())
def test_a_request_that_was_altered_anywhere_is_taken_by_neither_or_by_both(data):
    """What we take the library takes: the quick way lets nothing through."""
    body = data.draw(st.binary(min_size=1, max_size=20))
    message = signed("POST", "/sync/v1/push?summary=ab", body, "application/json", "MASTER01-LON")
    what = data.draw(st.sampled_from([*message.headers, "method", "url", "body"]))
    alter = st.integers(0, 400), st.sampled_from([*'aZ09+/=;:,"\\ \n\té', ""]), st.booleans()
    at, piece, is_insertion = data.draw(st.tuples(*alter))

    def altered(text: str) -> str:
        place = at % (len(text) + 1)
        return text[:place] + piece + text[place + (0 if is_insertion else 1) :]

    if what in message.headers:
        message.headers[what] = altered(message.headers[what])
    elif what == "body":
        body = altered(body.decode("latin-1")).encode()
    else:
        setattr(message, what, altered(getattr(message, what)))
    quickly = verdict(http_signatures._verified, message, body)
    slowly = verdict(http_signatures._verified_by_the_library, message, body)
    assert quickly in ("refused", slowly)
    assert verdict(http_signatures.verify, message, body) == slowly


def test_a_header_that_cannot_be_signed_is_an_error():
    """It would be read otherwise than it was written."""
    with pytest.raises(ValueError, match="cannot be signed"):
        signed("GET", "/", b"", "text\n", "MASTER01-LON")
