"""Two applications to compare with, under the same gunicorn: the least that can be said, and WhiteNoise with the same files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from whitenoise import WhiteNoise

BODY = b"x" * 6_000


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer everything with 6,000 bytes that are in memory."""
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(BODY)))])
    return [BODY]


files = WhiteNoise(hello, root=Path(os.environ["BENCH_FILES"]), prefix="/", max_age=0) if "BENCH_FILES" in os.environ else hello
