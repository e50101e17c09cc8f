"""A small model of what an execution must do, written without a look at the engine's own rules.

Statuses only: no counters, no transactions, no messages. Graphs are given as parents by node id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

Graph: TypeAlias = Mapping[str, Sequence[str]]
Status: TypeAlias = Literal["pending", "queued", "completed", "failed"]

MODULUS = 1_000_003


def expected_values(graph: Graph) -> dict[str, int]:
    """What each node's handler returns when it runs: one more than the sum of its parents' values."""
    values: dict[str, int] = {}

    def value(node: str) -> int:
        if node not in values:
            values[node] = (1 + sum(value(parent) for parent in graph[node])) % MODULUS
        return values[node]

    for node in _parents_first(graph):
        value(node)
    return values


def final_statuses(graph: Graph, fails: Callable[[str], bool]) -> dict[str, Status]:
    """How every node ends, when the nodes that `fails` names fail if they run."""
    ended: dict[str, Status] = {}
    for node in _parents_first(graph):
        runs = all(ended[parent] == "completed" for parent in graph[node])
        ended[node] = "completed" if runs and not fails(node) else "failed"
    return ended


class Model:
    """One execution, moved by what is reported of it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.run = 0
        self.started = False
        self.status: dict[str, Status] = dict.fromkeys(graph, "pending")
        self.attempt: dict[str, int] = dict.fromkeys(graph, 0)

    @property
    def execution_status(self) -> str:
        """What the execution as a whole is."""
        if self.run == 0:
            return "pending"
        if any(status in ("pending", "queued") for status in self.status.values()):
            return "running"
        return "failed" if "failed" in self.status.values() else "completed"

    @property
    def may_trigger(self) -> bool:
        """Whether a trigger is accepted."""
        return self.execution_status in ("pending", "failed")

    def trigger(self) -> None:
        """Start, or run again what failed."""
        self.run += 1
        self.started = False
        for node, status in self.status.items():
            if status == "failed":
                self.status[node] = "pending"

    def start(self) -> None:
        """The message that starts the run has been dealt with."""
        self.started = True
        for node in self.graph:
            self._queue_if_ready(node)

    def report(self, node: str, attempt: int, completed: bool) -> bool:
        """A worker's outcome; True when it counts."""
        if self.status[node] != "queued" or self.attempt[node] != attempt:
            return False
        if completed:
            self.status[node] = "completed"
            for child, parents in self.graph.items():
                if node in parents:
                    self._queue_if_ready(child)
        else:
            self.status[node] = "failed"
            for below in self._below(node):
                if self.status[below] == "pending":
                    self.status[below] = "failed"
        return True

    def _queue_if_ready(self, node: str) -> None:
        ready = all(self.status[parent] == "completed" for parent in self.graph[node])
        if self.status[node] == "pending" and ready:
            self.status[node] = "queued"
            self.attempt[node] += 1

    def _below(self, node: str) -> set[str]:
        found: set[str] = set()
        frontier = {node}
        while frontier:
            frontier = {c for c, parents in self.graph.items() if frontier & set(parents)} - found
            found |= frontier
        return found


def _parents_first(graph: Graph) -> list[str]:
    done: dict[str, None] = {}
    left = list(graph)
    while left:
        ready = [node for node in left if all(parent in done for parent in graph[node])]
        assert ready, "the graph has a cycle"
        done |= dict.fromkeys(ready)
        left = [node for node in left if node not in done]
    return list(done)
