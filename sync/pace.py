"""A peer that answers a byte a second is one that does not answer: every wait on the line has to bring something."""

from __future__ import annotations

import ssl
import time
from typing import Any

import httpcore2
import httpx2

WINDOW = 60.0  # seconds of waiting, in which
LEAST = 1024  # bytes have to come; a modem of 1990 brings sixty times as many


class PacedStream(httpcore2.NetworkStream):
    """A connection that fails where too little comes. Only the time spent waiting counts, not what the reader does between."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self.stream = stream
        self.waited, self.came = 0.0, 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come. Raises ReadTimeout."""
        start = time.monotonic()
        data = self.stream.read(max_bytes, timeout)
        self.waited += time.monotonic() - start
        self.came += len(data)
        if self.came >= LEAST:
            self.waited, self.came = 0.0, 0
        elif self.waited > WINDOW:
            raise httpcore2.ReadTimeout(f"it answers too slowly: {self.came} bytes in {self.waited:.0f} s")
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send ``buffer``; a new answer is waited for after it."""
        self.waited, self.came = 0.0, 0
        self.stream.write(buffer, timeout)

    def close(self) -> None:
        """Close the connection."""
        self.stream.close()

    def start_tls(self, *args: Any, **kwargs: Any) -> httpcore2.NetworkStream:
        """Return the same, encrypted."""
        return PacedStream(self.stream.start_tls(*args, **kwargs))

    def get_extra_info(self, info: str) -> Any:
        """Return what the connection knows of itself."""
        return self.stream.get_extra_info(info)


class PacedBackend(httpcore2.SyncBackend):
    """Opens such connections."""

    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore2.NetworkStream:
        """Connect."""
        return PacedStream(super().connect_tcp(*args, **kwargs))


def transport(is_secure: bool, kept: float) -> httpx2.HTTPTransport:
    """Return a transport with such connections, each kept ``kept`` seconds for another request.

    Where no address is https no certificate is read, which takes long; nothing could be verified then, so nothing would be trusted.
    httpx2 has no parameter for the connections; its pool has.
    """
    verify = True if is_secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made = httpx2.HTTPTransport(verify=verify, trust_env=False, limits=httpx2.Limits(keepalive_expiry=kept))
    made._pool._network_backend = PacedBackend()
    return made
