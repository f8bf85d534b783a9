"""What is done about a wall clock that is wrong, or was: nothing is believed but the signed time of a peer.

Two mistakes look alike from inside, a wall clock that stands behind the clock of what was written and seen here: it was set back,
or what was written ran ahead and the wall is right by now. A peer's time tells them apart. Until one is heard, the hybrid logical
clock goes on from where it is: what is written here is visible here, and wins over what it had seen.
"""

from __future__ import annotations

import secrets

from django.db import transaction

from sync import admission, conf, keys, local, restamp
from sync.core import signing
from sync.core.policy import Party, Role
from sync.models import Local

TOLERANCE_MS = 1000  # by which clocks of a site may differ without anybody minding


def challenge() -> str:
    """Return what a peer is asked to sign together with its time, so that no old answer can be sent again."""
    return secrets.token_hex(16)


def sign(question: str, now_ms: int) -> str:
    """Return the signature of this replica over its time of day, in base64; see docs/sync-protocol.md."""
    return signing.sign_time(keys.private(), conf.name(), question, now_ms)


def is_signed(peer: str, key: str, question: str, now_ms: object, signature: object) -> bool:
    """Say whether ``peer`` has signed that it is ``now_ms`` there."""
    if not isinstance(now_ms, int) or not isinstance(signature, str):
        return False
    return signing.is_time_signed_by(signing.parse_key(key), peer, question, now_ms, signature)


def heard(peer: Party, me: Party, now_ms: int) -> bool:
    """Take what a peer has signed to be the time of day; return whether that changed anything here.

    Where this replica's own clock is as it should be, it does not.

    A master's time is taken for ours where our wall clock stands behind what we have written and seen. And where the two clocks
    agree, and what was written here lies beyond the drift, it was that which was wrong: it is repeated under the right time.
    """
    if not is_doubtful():
        return False
    with transaction.atomic():
        local.take_turn()
        own = local.state()
        if peer.role is Role.MASTER:
            _take_over(own, now_ms)
        is_judge = peer.role is Role.MASTER or me.role is Role.MASTER
        if is_judge and abs(now_ms - local.now_ms(own)) <= conf.max_clock_drift_ms() and restamp.is_ahead(own):
            restamp.begin_anew(own)
        admission.release()
    return True


def is_doubtful() -> bool:
    """Say whether a peer's time could change anything here, so that it is worth asking for."""
    own = local.state()
    return bool(own.boot) or own.clock_ms > local.wall_ms() + TOLERANCE_MS


def _take_over(own: Local, now_ms: int) -> None:
    """Count from a master's time while the wall clock stands behind; forget it once that is right again."""
    wall = local.wall_ms()
    is_behind = wall + TOLERANCE_MS < min(own.clock_ms, now_ms)
    own.heard_ms, own.boot = (now_ms - local.uptime_ms(), local.boot()) if is_behind else (0, "")
    own.save(update_fields=["heard_ms", "boot"])
