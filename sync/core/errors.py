"""Errors, first by whose move it is. Each carries a stable ``code``, so that logs, the API and tests need not read prose."""

from __future__ import annotations


class SyncError(Exception):
    """Anything that keeps replicas from agreeing. ``str()`` says what is wrong and what to do."""

    code = "sync_error"


class RejectedError(SyncError):
    """The sender must act; nothing of what was rejected has been stored."""

    code = "rejected"


class MalformedError(RejectedError):
    """Bytes that do not follow the protocol."""

    code = "malformed"


class TooLargeError(RejectedError):
    """More than the bounds allow."""

    code = "too_large"


class UnwritableError(RejectedError):
    """A value that cannot travel."""

    code = "value_unwritable"


class NotAllowedError(RejectedError):
    """The rule of who may push and pull forbids it."""

    code = "not_allowed"


class InviteError(RejectedError):
    """An invitation that is not, or no longer, good; or that is for somebody else."""

    code = "invite_invalid"


class NameTakenError(RejectedError):
    """The name is on the trusted list already, with another key."""

    code = "name_taken"


class StaleError(RejectedError):
    """What somebody decided about was changed since it was shown to him: nothing was written; he has to look again."""

    code = "stale"


class RetryLaterError(SyncError):
    """Nobody must act: the next sweep tries again."""

    code = "retry_later"


class PeerUnavailableError(RetryLaterError):
    """The peer does not answer."""

    code = "peer_unavailable"


class IncompleteStreamError(RetryLaterError):
    """A stream ended before its last line; what came before is kept."""

    code = "incomplete_stream"


class DatabaseUnavailableError(RetryLaterError):
    """The database of this replica does not answer."""

    code = "database_unavailable"


class NeedsOperatorError(SyncError):
    """A person here must act."""

    code = "needs_operator"


class NotWritableError(NeedsOperatorError):
    """This replica cannot store anything just now: a full disk, a read-only file. It goes on by itself when it can."""

    code = "not_writable"


class WrongBlobError(NeedsOperatorError):
    """A peer hands out other bytes than those that a blob's name says; they were dropped."""

    code = "blob_wrong"


class UnknownPeerError(NeedsOperatorError):
    """The peer is not on the trusted list."""

    code = "replica_unknown"


class PeerRefusedError(NeedsOperatorError):
    """The peer answered with a refusal; ``code`` is the peer's own."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
