"""A small model of what an execution must do, written without a look at the engine's own rules.

Statuses only: no counters, no transactions, no messages. Graphs are given as parents by node id.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

Graph: TypeAlias = Mapping[str, Sequence[str]]
Status: TypeAlias = Literal["pending", "queued", "waiting", "completed", "failed", "skipped"]

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


class Says(NamedTuple):
    """What a node says about when it runs, and about its failures. `when`: what its condition gives; `again`:
    what that for another try gives."""

    rule: str = "all_success"
    when: bool | None = None
    tolerates: bool = False
    tries: int = 1
    again: bool | None = None


PLAIN = Says()


def verdict(rule: str, fates: Sequence[str]) -> str | None:
    """LANGUAGE section 3's table: run, fail, skip, or None while that is open.

    Fates of the dependencies: completed, tolerated, failed, failing (failed at once, while something above it
    has not ended), skipped, or left.
    """
    c, t = fates.count("completed"), fates.count("tolerated")
    f, s = fates.count("failed"), fates.count("skipped")
    n = len(fates)
    if rule == "all_success" and f + fates.count("failing"):
        return "fail"
    if rule == "one_success" and c:
        return "run"
    if c + t + f + s < n:
        return None
    runs = {
        "all_success": f == 0 and s == 0,
        "none_failed": f == 0,
        "none_failed_min_one_success": f == 0 and c + t >= 1,
        "all_done_min_one_success": c + t >= 1,
        "one_success": False,
        "all_done": True,
        "one_failed": f >= 1,
        "all_failed": f == n,
    }
    fails = {
        "none_failed": f >= 1,
        "none_failed_min_one_success": f >= 1,
        "all_done_min_one_success": c + t == 0 and f >= 1,
        "one_success": c == 0 and f + t >= 1,
    }
    return "run" if runs[rule] else "fail" if fails.get(rule) else "skip"


class Model:
    """One execution, moved by what is reported of it."""

    def __init__(self, graph: Graph, says: Mapping[str, Says] | None = None) -> None:
        self.graph = graph
        self.says = says or {}
        self.run = 0
        self.started = False
        self.status: dict[str, Status] = dict.fromkeys(graph, "pending")
        self.attempt: dict[str, int] = dict.fromkeys(graph, 0)
        self.tried: dict[str, int] = dict.fromkeys(graph, 0)
        self.tolerated: set[str] = set()

    def of(self, node: str) -> Says:
        """What a node says."""
        return self.says.get(node, PLAIN)

    @property
    def execution_status(self) -> str:
        """What the execution as a whole is."""
        if self.run == 0:
            return "pending"
        if any(status in ("pending", "queued", "waiting") for status in self.status.values()):
            return "running"
        failed = {node for node, status in self.status.items() if status == "failed"}
        return "failed" if failed - self.tolerated else "completed"

    @property
    def may_trigger(self) -> bool:
        """Whether a trigger is accepted."""
        return self.execution_status in ("pending", "failed")

    def trigger(self) -> None:
        """Start, or run again what failed and all that is below it."""
        self.run += 1
        self.started = False
        if self.run == 1:
            return
        reset: set[str] = set()
        for node in _parents_first(self.graph):
            failed = self.status[node] == "failed" and node not in self.tolerated
            above = [parent for parent in self.graph[node] if parent in reset]
            stays = (
                self.of(node).rule == "one_success"
                and self.status[node] == "completed"
                and any(self.status[p] == "completed" for p in self.graph[node] if p not in reset)
            )
            if failed or (above and not stays):
                reset.add(node)
        for node in reset:
            self.status[node] = "pending"
            self.tried[node] = 0
        self.tolerated -= reset

    def start(self) -> None:
        """The message that starts the run has been dealt with."""
        self.started = True
        self._decide()

    def report(self, node: str, attempt: int, outcome: bool | None, *, asked: bool = True) -> bool:
        """A worker's outcome (None: skipped by its condition), or a timer's, which asks no condition; True
        when it counts."""
        if self.status[node] != "queued" or self.attempt[node] != attempt:
            return False
        if outcome is None:
            self.status[node] = "skipped"
        elif outcome:
            self.status[node] = "completed"
        elif self.tried[node] < self.of(node).tries and not (asked and self.of(node).again is False):
            self.status[node] = "waiting"
        else:
            self._fail(node)
        self._decide()
        return True

    def try_again(self, node: str, attempt: int) -> None:
        """The pause after an attempt is over."""
        if self.status[node] == "waiting" and self.attempt[node] == attempt:
            self._queue(node)

    def fate(self, node: str) -> str:
        """How a node counts for those that depend on it."""
        status = self.status[node]
        if status == "failed":
            if node in self.tolerated:
                return "tolerated"
            return "failed" if self._is_settled(node) else "failing"
        return status if status in ("completed", "skipped") else "left"

    def _is_settled(self, node: str) -> bool:
        """Whether a node that has failed is one that ran, or all that it depends on has ended."""
        if self.tried[node]:
            return True
        return all(self.fate(parent) not in ("left", "failing") for parent in self.graph[node])

    def _decide(self) -> None:
        """All that follows, until nothing more does."""
        moved = True
        while moved:
            moved = False
            for node, parents in self.graph.items():
                if self.status[node] != "pending":
                    continue
                found = verdict(self.of(node).rule, [self.fate(parent) for parent in parents])
                moved |= found is not None
                if found == "run":
                    self._queue(node)
                elif found == "skip":
                    self.status[node] = "skipped"
                elif found == "fail":
                    self.status[node] = "failed"

    def _queue(self, node: str) -> None:
        self.status[node] = "queued"
        self.attempt[node] += 1
        self.tried[node] += 1

    def _fail(self, node: str) -> None:
        self.status[node] = "failed"
        if self.of(node).tolerates:
            self.tolerated.add(node)


def run_to_the_end(model: Model, failing: Collection[str]) -> None:
    """Let every node of the model run; these fail each time."""
    model.start()
    while model.execution_status == "running":
        for node, status in list(model.status.items()):
            if status == "queued":
                outcome = None if model.of(node).when is False else node not in failing
                model.report(node, model.attempt[node], outcome)
            elif status == "waiting":
                model.try_again(node, model.attempt[node])


def _parents_first(graph: Graph) -> list[str]:
    done: dict[str, None] = {}
    left = list(graph)
    while left:
        ready = [node for node in left if all(parent in done for parent in graph[node])]
        assert ready, "the graph has a cycle"
        done |= dict.fromkeys(ready)
        left = [node for node in left if node not in done]
    return list(done)
