"""Which nodes have surely completed when a node runs, by the rules of all that is between them.

What is not certain may still be there: reading it is allowed, and worth a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowengine.jsonvalue import pointer_to
from flowengine.workflow.checking.node_fields import NodeFields
from flowengine.workflow.checking.node_policy import NO_POLICY
from flowengine.workflow.graph import Graph
from flowengine.workflow.problems import Problem, quoted


def certain_ancestors(
    graph: Graph, nodes: Sequence[NodeFields], ends: Sequence[int] = ()
) -> dict[int, int] | None:
    """For each node, the certain ones as a number in which bit `n` stands for node `n`.

    None, where no node has a policy of its own: then all that a node may read is certain.
    """
    if all(node.policy == NO_POLICY and node.stage == "main" for node in nodes):
        return None
    found: dict[int, int] = {}
    for layer in graph.layers:
        for place in layer:
            found[place] = _certain(graph.parents[place], nodes[place], nodes, found)
    for node in nodes:
        if node.stage == "outputs":
            found[node.place] = _after_completion(graph, nodes, found, ends)
    return found


def rule_warnings(graph: Graph, nodes: Sequence[NodeFields]) -> Iterator[Problem]:
    """Nodes that wait for a failure that never counts: all that they depend on is tolerated, and fails by
    itself only."""
    for node in nodes:
        rule, parents = node.policy.trigger_rule, graph.parents[node.place]
        if rule in ("one_failed", "all_failed") and all(
            nodes[parent].policy.tolerates is True and not graph.parents[parent] for parent in parents
        ):
            yield Problem(
                code="never_runs",
                pointer=pointer_to(node.pointer, "trigger_rule"),
                message=f"{quoted(node.id or '')} runs after a failure, and failures of all that it depends "
                "on are tolerated (on_error: continue): use when: \"{{ statuses.NODE == 'failed' }}\"",
            )


def _certain(
    parents: Sequence[int], node: NodeFields, nodes: Sequence[NodeFields], found: dict[int, int]
) -> int:
    rule = node.policy.trigger_rule
    if not parents:
        return 0
    if rule == "all_success":
        return _union([_after(parent, nodes, found) for parent in parents])
    if rule == "one_success":
        return _intersection([found.get(parent, 0) | 1 << parent for parent in parents])
    if rule in ("none_failed_min_one_success", "all_done_min_one_success"):
        return _intersection([_after(parent, nodes, found) for parent in parents])
    return 0


def _after_completion(
    graph: Graph, nodes: Sequence[NodeFields], found: dict[int, int], ends: Sequence[int]
) -> int:
    """What has surely completed when the execution completes: at its last node, or at one of these `end`s."""
    runs: dict[int, bool] = {}
    bits = 0
    for layer in graph.layers:
        for place in layer:
            node = nodes[place]
            if node.stage != "main":
                continue
            runs[place] = node.policy.when is None and _surely_runs(graph.parents[place], node, nodes, runs)
            if runs[place] and not node.policy.tolerates:
                bits |= 1 << place
    return _intersection([bits, *[found.get(end, 0) for end in ends]])


def _surely_runs(
    parents: Sequence[int], node: NodeFields, nodes: Sequence[NodeFields], runs: dict[int, bool]
) -> bool:
    """Whether a node runs in each execution in which no failure counts. A node that runs has completed then,
    or failed tolerated."""
    match node.policy.trigger_rule:
        case "all_success":
            return all(runs.get(parent, False) for parent in parents)
        case "none_failed" | "all_done":
            return True
        case "one_success":
            return any(runs.get(parent, False) and not nodes[parent].policy.tolerates for parent in parents)
        case "none_failed_min_one_success" | "all_done_min_one_success":
            return any(runs.get(parent, False) for parent in parents)
        case _:
            return False


def _after(parent: int, nodes: Sequence[NodeFields], found: dict[int, int]) -> int:
    """What is certain after a node that has completed or failed tolerated: either way it has run."""
    itself = 0 if nodes[parent].policy.tolerates else 1 << parent
    return found.get(parent, 0) | itself


def _union(sets: Sequence[int]) -> int:
    together = 0
    for bits in sets:
        together |= bits
    return together


def _intersection(sets: Sequence[int]) -> int:
    common = sets[0]
    for bits in sets[1:]:
        common &= bits
    return common
