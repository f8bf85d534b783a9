"""One answer to what is an address of a replica, and what is a name of a farm."""

import pytest

from sync.core import address

RIGHT = [
    "http://localhost:8000",
    "https://edge07.example.org",
    "http://[::1]:8001",
    "http://127.0.0.1",
    "https://münchen.example",
    "https://हिन्दी.भारत",
    "http://edge_1-:8000",
    "http://[fe80::1%25eth0]:8000",
]
WRONG = [
    "",
    "a",
    "http://",
    "http:///",
    "http://a b",
    "http://a\x00",
    "http://a\n",
    "http://\u202ea",
    "http://.",
    "http://a..b",
    "http://-a",
    "http://user@a",
    "http://user:secret@a",
    "http://a?x=1",
    "http://a?",
    "http://a#x",
    "http://a/site",
    "http://a:",
    "http://a:0",
    "http://a:99999",
    "http://a:8o",
    "http://a:٣",
    "javascript:x",
    "ftp://a",
    "\x00",
    "None",
    "http://" + "a" * 300,
]


@pytest.mark.parametrize("text", RIGHT)
def test_an_address_is_scheme_host_and_port(text):
    """A slash at the end is left out, the scheme is written small."""
    assert address.origin(text) == address.origin(f"{text}/") == address.origin(text.replace("http", "HTTP", 1)) == text


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_address_is_refused(text):
    """No host, no port, an account, a path, a query, a fragment, a space, a control character, another scheme."""
    with pytest.raises(ValueError, match="is no address"):
        address.origin(text)


@pytest.mark.parametrize(
    ("text", "is_right"), [("", True), (".x", True), ("-", True), ("a" * 32, True), ("a" * 33, False), ("a b", False)]
)
def test_a_farm_has_one_form(text, is_right):
    """What the message says is accepted is what is accepted."""
    if is_right:
        assert address.farm(text) == text
        return
    with pytest.raises(ValueError, match="up to 32 of letters"):
        address.farm(text)
