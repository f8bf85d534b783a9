"""Trees that several people rearrange at once: links to parents may run round in a circle."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def cycles(parents: Mapping[Node, Node | None]) -> list[list[Node]]:
    """Return the circles among ``parents`` (node -> its parent, None at the top), each as its nodes. O(nodes)."""
    found: list[list[Node]] = []
    done: set[Node] = set()
    for start in parents:
        path: dict[Node, None] = {}
        node: Node | None = start
        while node is not None and node in parents and node not in done and node not in path:
            path[node] = None
            node = parents[node]
        if node is not None and node in path:
            nodes = list(path)
            found.append(nodes[nodes.index(node) :])
        done.update(path)
    return found
