"""The graph of a workflow: layers, ancestors, cycles. Nodes are numbers; it knows nothing else of them.

Linear in nodes and edges, and never recursive: a chain of a thousand nodes is an ordinary workflow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from functools import cached_property

import msgspec


class Graph(msgspec.Struct, frozen=True, dict=True):
    """`parents[n]` are the nodes that must complete before `n`: each once, and never `n` itself."""

    parents: tuple[tuple[int, ...], ...]

    @cached_property
    def successors(self) -> tuple[tuple[int, ...], ...]:
        """For each node, the nodes that depend on it directly, in ascending order."""
        found: list[list[int]] = [[] for _ in self.parents]
        for node, parents in enumerate(self.parents):
            for parent in parents:
                found[parent].append(node)
        return tuple(tuple(nodes) for nodes in found)

    @cached_property
    def layers(self) -> tuple[tuple[int, ...], ...]:
        """The nodes by the length of the longest path to them. Nodes on or after a cycle are in no layer."""
        successors, waiting = self.successors, [len(parents) for parents in self.parents]
        layer = [node for node, count in enumerate(waiting) if not count]
        layers: list[tuple[int, ...]] = []
        while layer:
            layers.append(tuple(layer))
            following = []
            for node in layer:
                for child in successors[node]:
                    waiting[child] -= 1
                    if not waiting[child]:
                        following.append(child)
            layer = sorted(following)
        return tuple(layers)

    @cached_property
    def _blocked_groups(self) -> list[list[int]]:
        """The nodes on or after a cycle, in groups that wait for each other. Parents' groups come first."""
        ordered = {node for layer in self.layers for node in layer}
        blocked = [node for node in range(len(self.parents)) if node not in ordered]
        return _strong_components(blocked, self.successors)[::-1]

    @cached_property
    def _ancestors(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for layer in self.layers:
            for node in layer:
                found[node] = self._bits_above((node,), found)
        for group in self._blocked_groups:
            bits = self._bits_above(group, found)
            found.update(dict.fromkeys(group, bits))
        return found

    def _bits_above(self, group: Collection[int], found: dict[int, int]) -> int:
        bits = 0
        for node in group:
            for parent in self.parents[node]:
                bits |= found.get(parent, 0) | 1 << parent
        return bits

    def ancestor_bits(self, node: int) -> int:
        """Every node upstream of `node`, as a number in which bit `n` stands for node `n`.

        On a cycle, a node is upstream of itself. Found for all nodes at once, and kept.
        """
        return self._ancestors[node]

    def is_ancestor(self, upstream: int, node: int) -> bool:
        """Whether `upstream` always completes before `node` starts."""
        return bool(self._ancestors[node] >> upstream & 1)

    def cycles(self) -> tuple[tuple[int, ...], ...]:
        """For each group of nodes that wait for each other, a shortest cycle through its first node.

        A cycle goes along the edges, from a parent to its child. Its first node is not repeated at the end.
        """
        groups = [group for group in self._blocked_groups if len(group) > 1]
        return tuple(sorted(self._shortest_cycle(group) for group in groups))

    def _shortest_cycle(self, group: Collection[int]) -> tuple[int, ...]:
        start, inside = min(group), set(group)
        came_from: dict[int, int] = {}
        queue = deque([start])
        while queue:
            node = queue.popleft()
            for child in self.successors[node]:
                if child == start:
                    return _path_back(node, start, came_from)
                if child in inside and child not in came_from:
                    came_from[child] = node
                    queue.append(child)
        raise AssertionError("a strongly connected group of several nodes holds a cycle through each")


def _path_back(node: int, start: int, came_from: dict[int, int]) -> tuple[int, ...]:
    path = [node]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return tuple(reversed(path))


def _strong_components(nodes: Sequence[int], successors: Sequence[Sequence[int]]) -> list[list[int]]:
    """The groups of nodes that reach each other (Tarjan 1972, without recursion)."""
    number: dict[int, int] = {}
    lowest: dict[int, int] = {}
    open_nodes: dict[int, None] = {}
    groups: list[list[int]] = []
    for root in nodes:
        if root in number:
            continue
        number[root] = lowest[root] = len(number)
        open_nodes[root] = None
        work = [(root, iter(successors[root]))]
        while work:
            node, children = work[-1]
            for child in children:
                if child not in number:
                    number[child] = lowest[child] = len(number)
                    open_nodes[child] = None
                    work.append((child, iter(successors[child])))
                    break
                if child in open_nodes:
                    lowest[node] = min(lowest[node], number[child])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    lowest[parent] = min(lowest[parent], lowest[node])
                if lowest[node] == number[node]:
                    groups.append(_close(node, open_nodes))
    return groups


def _close(root: int, open_nodes: dict[int, None]) -> list[int]:
    group = []
    while True:
        node, _ = open_nodes.popitem()
        group.append(node)
        if node == root:
            return group
