"""Who may do what: the one table, as pure functions that commands, server and apply all ask."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a replica is."""

    MASTER = "master"
    NODE = "node"
    EDGE = "edge"


class Verb(StrEnum):
    """What one replica does with another."""

    PULL = "pull"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class Party:
    """A replica as the rule sees it; ``farm`` is the edge's own, or the one that a node hosts, empty for none."""

    role: Role
    farm: str = ""

    @classmethod
    def named(cls, name: str, role: Role, farm: str) -> Party:
        """Return the replica ``name`` as a party. An edge without a farm is one by itself, which bears its name."""
        return cls(role, farm or (name if role is Role.EDGE else ""))


ALL = "all"  # the scope of what everybody holds
TRUST = "trust"  # the scope of the trusted list
FARM = "farm:"  # the scopes of what belongs to one farm: submissions

BOTH = frozenset(Verb)
# from -> to -> verbs; SAME_FARM narrows a cell to edges of the actor's own farm.
TABLE: dict[Role, dict[Role, frozenset[Verb]]] = {
    Role.MASTER: {Role.MASTER: BOTH, Role.NODE: BOTH, Role.EDGE: BOTH},
    Role.NODE: {Role.MASTER: BOTH, Role.NODE: BOTH, Role.EDGE: BOTH},
    Role.EDGE: {Role.MASTER: frozenset({Verb.PULL}), Role.NODE: frozenset({Verb.PULL}), Role.EDGE: BOTH},
}
SAME_FARM = {(Role.NODE, Role.EDGE), (Role.EDGE, Role.EDGE)}


def may(actor: Party, verb: Verb, target: Party) -> bool:
    """Say whether ``actor`` may push to, or pull from, ``target``. Both are on the trusted list; that is asked before."""
    if (actor.role, target.role) in SAME_FARM and (not actor.farm or actor.farm != target.farm):
        return False
    return verb in TABLE[actor.role][target.role]


def is_entitled(party: Party, scope: str) -> bool:
    """Say whether ``party`` may hold the chains of ``scope``."""
    if scope in (ALL, TRUST):
        return True
    if not scope.startswith(FARM):
        return False
    return party.role is not Role.EDGE or (bool(party.farm) and scope == FARM + party.farm)


def may_write(party: Party, scope: str) -> bool:
    """Say whether what ``party`` writes into ``scope`` counts. Only masters write the trusted list."""
    if scope == TRUST:
        return party.role is Role.MASTER
    return is_entitled(party, scope)
