"""A TCP relay between a replica and its peer that breaks as lines do: it cuts, or falls silent, after so many bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

from tests.servers import free_port


class Relay:
    """Listens on a port of its own and passes everything on to ``target``.

    ``answered`` is what it passed back since the last ``mend``, ``cut``, ``cut_requests`` or ``silence``, and ``asked`` how many
    bytes it passed on; ``connections`` counts those taken.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.target = 0
        self.answered = bytearray()
        self.asked = 0
        self._request_limit: int | None = None
        self.connections = 0
        self.silent = threading.Event()
        self._limit: int | None = None
        self._falls_silent = False
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.close()
        self._hang_up()

    def mend(self) -> None:
        """Pass everything on."""
        self._set(None, False)

    def cut(self, after: int) -> None:
        """Close connections once ``after`` bytes of answers have passed."""
        self._set(after, False)

    def cut_requests(self, after: int) -> None:
        """Close connections once ``after`` bytes of requests have passed."""
        self._set(None, False)
        self._request_limit = after

    def silence(self, after: int) -> None:
        """Pass nothing on once ``after`` bytes of answers have passed, and keep connections open; ``silent`` is then set."""
        self._set(after, True)

    def _set(self, limit: int | None, falls_silent: bool) -> None:
        self._hang_up()
        self._limit, self._falls_silent, self._request_limit, self.asked = limit, falls_silent, None, 0
        self.answered.clear()
        self.silent.clear()

    def _hang_up(self) -> None:
        while self._open:
            _close(self._open.pop())

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    _close(client)
                    continue
                self._open += [client, server]
                threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 14):
                left = len(data) if self._request_limit is None else self._request_limit - self.asked
                self.asked += min(left, len(data))
                server.sendall(data[:left])
                if left < len(data):
                    _close(client)
                    break
        _close(server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 14):
                left = len(data) if self._limit is None else self._limit - len(self.answered)
                self.answered += data[:left]
                client.sendall(data[:left])
                if left < len(data):
                    if self._falls_silent:
                        self.silent.set()
                        return  # whoever waits goes on waiting
                    break
        _close(client)
        _close(server)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
