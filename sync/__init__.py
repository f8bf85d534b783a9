"""How replicas agree. Knows no content model by name: a model joins by inheriting ``sync.replicated.ReplicatedModel``."""
