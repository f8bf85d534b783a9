"""What came of an exchange with a peer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sync.core.errors import SyncError


@dataclass(slots=True)
class Result:
    """What an exchange with one peer came to. ``sent`` and ``received`` count changesets, ``seconds`` is wall time."""

    name: str
    ok: bool = True
    sent: int = 0
    received: int = 0
    applied: int = 0
    seconds: float = 0.0
    error: dict[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return this for ``--json``: ``error`` only where there is one."""
        found = asdict(self)
        found["seconds"] = round(self.seconds, 3)
        if self.error is None:
            del found["error"]
        return found


def refused(name: str, error: SyncError) -> Result:
    """Return the result of an exchange that did not even begin."""
    return Result(name, ok=False, error={"code": error.code, "detail": str(error)})
