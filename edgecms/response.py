"""gunicorn's response, which sends a page in one piece and does not look at the same headers twice.

gunicorn sends the head of an answer and its body one after the other, which wakes the client twice, and checks each header of each
answer by two regular expressions. Pages from the folder have their body at hand and headers that stay as they are.
"""

from __future__ import annotations

from gunicorn.http import wsgi

from content.pagecache.wsgi import Lines

SMALL = 1 << 16  # bytes; what is larger is not copied once more to save one call


class Response(wsgi.Response):
    """One answer over HTTP/1. Whatever is not a small body in one piece is left to gunicorn."""

    headers: list[tuple[str, str]]
    response_length: int | None
    headers_sent: bool
    _lines: str | None = None

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        """Check and take over ``headers``; what was checked before is only taken over."""
        known = headers.checked if isinstance(headers, Lines) else None
        if known is None:
            super().process_headers(headers)
            if isinstance(headers, Lines):
                lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
                headers.checked = (self.headers, self.response_length, lines)
        else:
            self.headers, self.response_length, self._lines = known

    def write(self, data: bytes) -> None:
        """Send a piece of the body; with the head before it where it is the whole, or the first of a stream."""
        if self.headers_sent or not (self._is_whole(data) or self._is_beginning(data)):
            super().write(data)
            return
        lines = self._lines or "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        head = "".join([*self.default_headers(), lines, "\r\n"])
        self.headers_sent, self.sent = True, len(data)
        piece = b"%X\r\n%b\r\n" % (len(data), data) if self.chunked else data
        self.sock.sendall(head.encode("latin-1") + piece)

    def _is_beginning(self, data: bytes) -> bool:
        is_some = isinstance(data, bytes) and 0 < len(data) <= SMALL
        return is_some and self.chunked and self.status_code == 200 and self.req.method != "HEAD"

    def _is_whole(self, data: bytes) -> bool:
        is_whole = isinstance(data, bytes) and len(data) == self.response_length
        return is_whole and len(data) <= SMALL and self.status_code == 200 and self.req.method != "HEAD"
