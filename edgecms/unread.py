"""How gunicorn answers what it could not read, or what the program failed to answer: by a problem, as every error here is told.

No view has seen such a request, and often not even its path is known, so the answer is the same for programs and for people.
"""

from __future__ import annotations

import json
import socket
from http import HTTPStatus

from gunicorn.util import write_nonblock

CODES = {
    403: "permission_denied",
    414: "uri_too_long",
    417: "expectation_failed",
    431: "headers_too_large",
    500: "internal_error",
    501: "transfer_coding_unknown",
}


def write_error(sock: socket.socket, status: int, reason: str, message: str) -> None:
    """Answer in place of ``gunicorn.util.write_error``, with the same arguments; ``message`` says what is wrong."""
    from edgecms.problems import MEDIA_TYPE, body  # the worker loads this module before the program, which may be refused

    detail = message or "The server failed while it answered; it has written down why. Trying again later may help."
    content = json.dumps(body(status, CODES.get(status, "bad_request"), HTTPStatus(status).phrase, detail))
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(content)}\r\n\r\n"
    write_nonblock(sock, (head + content).encode("ascii"))
