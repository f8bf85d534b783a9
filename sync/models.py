"""Tables of replication, and the base class for models that replicate."""

from sync.replicated import ReplicatedModel

__all__ = ["ReplicatedModel"]
