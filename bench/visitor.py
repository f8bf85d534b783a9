"""A reader who asks for one page after the other and takes the time: ``python -m bench.visitor ADDRESS PORT MODE COUNT [PID] PATH…``.

``MODE`` is ``fresh``, a connection for each page, or ``kept``, one for all. With a ``PID`` that is not 0 it goes on only while
that process runs. Prints the milliseconds of each page, from the first packet to the last byte, as a JSON list.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

PATIENCE = 60.0  # seconds that a server gets to start


def ask(connection: socket.socket, host: str, path: str) -> int:
    """Ask for a page as a browser does and return the bytes of its body. Raises RuntimeError for any answer but 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\n\r\n"
    connection.sendall(request.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _more(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if b" 200 " not in head.partition(b"\r\n")[0] or length is None:
        raise RuntimeError(f"{host}{path}: {head[:300].decode(errors='replace')}")
    size = len(body)
    while size < int(length[1]):
        size += len(_more(connection))
    return size


def _more(connection: socket.socket) -> bytes:
    if not (data := connection.recv(1 << 16)):
        raise RuntimeError("the connection was closed in the middle of an answer")
    return data


def times(address: str, port: int, mode: str, paths: Sequence[str], pid: int) -> Iterator[float]:
    """Yield the milliseconds of each page, without end."""
    connection = _connected(address, port) if mode == "kept" else None
    if connection:
        ask(connection, address, paths[0])
    for path in cycle(paths):
        if pid and not _runs(pid):
            return
        began = time.perf_counter()
        chosen = connection or _connected(address, port)
        ask(chosen, address, path)
        yield (time.perf_counter() - began) * 1000
        if connection is None:
            chosen.close()


def _connected(address: str, port: int) -> socket.socket:
    connection = socket.create_connection((address, port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def wait(address: str, port: int, path: str) -> None:
    """Wait until a server answers. Raises what it does last."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with _connected(address, port) as connection:
                ask(connection, address, path)
            return
        except (OSError, RuntimeError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main(address: str, port: str, mode: str, count: str, pid: str, *paths: str) -> None:
    """Wait for the server, then visit."""
    wait(address, int(port), paths[0])
    print(json.dumps(list(islice(times(address, int(port), mode, paths, int(pid)), int(count)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
