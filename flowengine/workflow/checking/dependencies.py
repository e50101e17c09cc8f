"""Turns the ids that nodes name into a graph, and reports what is wrong with ids and dependencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

import msgspec

from flowengine.jsonvalue import pointer_to
from flowengine.workflow.checking.around import NOTHING_AROUND, Around
from flowengine.workflow.checking.node_fields import NodeFields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.document import MAX_ID_CHARS, NODE_ID
from flowengine.workflow.graph import Graph
from flowengine.workflow.problems import did_you_mean, escaped, quoted
from flowengine.workflow.stages import Stage

MAX_NAMED_IN_CYCLE: Final = 50


READS: Final[Mapping[Stage, tuple[Stage, ...]]] = {
    "outputs": ("main",),
    "on_failure": ("main",),
    "finally": ("main", "on_failure"),
}
"""The stages whose nodes the nodes of a stage may read: all of these have ended by then."""


class Links(msgspec.Struct, frozen=True, dict=True):
    """The graph of a document, and the number of the node behind each id.

    `index` also holds ids that were refused; of two nodes with one id it has the first. `nameable` are the
    ids that a message may propose. `stages`: that of each node. `around`: what is outside of the group that
    the list belongs to; these nodes have the numbers behind those of the list.
    """

    index: dict[str, int]
    nameable: tuple[str, ...]
    graph: Graph
    stages: tuple[Stage, ...] = ()
    around: Around = NOTHING_AROUND

    @property
    def names(self) -> dict[int, str]:
        """The id of each node that has one of its own."""
        return {place: name for name, place in self.index.items()}

    @cached_property
    def _of_stage(self) -> dict[Stage, int]:
        found: dict[Stage, int] = {}
        for place, stage in enumerate(self.stages):
            found[stage] = found.get(stage, 0) | 1 << place
        return found

    @cached_property
    def _readable_around(self) -> int:
        bits = 0
        for number, outer in enumerate(self.around.nodes):
            bits |= outer.readable << len(self.stages) + number
        return bits

    def is_around(self, place: int) -> bool:
        """Whether a number is that of a node outside."""
        return place >= len(self.stages)

    def readable(self, place: int) -> int:
        """The nodes whose output or fate a node may read, as a number in which bit `n` stands for node `n`:
        those upstream, and all of the stages before its own."""
        bits = self.graph.ancestor_bits(place) | self._readable_around
        for stage in READS.get(self.stages[place], ()):
            bits |= self._of_stage.get(stage, 0)
        return bits


def link(nodes: Sequence[NodeFields], report: Report, around: Around = NOTHING_AROUND) -> Links:
    """Resolve every dependency. Reports duplicate ids, dependencies that lead nowhere, and cycles."""
    index: dict[str, int] = {}
    for node in nodes:
        if node.id is None:
            continue
        first = index.setdefault(node.id, node.place)
        if first != node.place:
            report.add(
                "duplicate_id",
                pointer_to(node.pointer, "id"),
                f"the id {quoted(node.id)} is taken by {nodes[first].pointer}: ids are unique",
            )
    outside = {outer.name for outer in around.nodes if not (around.sole and outer.name == around.group)}
    for node in nodes:
        if node.id in outside:
            report.add(
                "duplicate_id",
                pointer_to(node.pointer, "id"),
                f"the id {quoted(node.id or '')} is taken around the group {quoted(around.group)}: ids in "
                "a group differ from those around it",
            )
    nameable = tuple(name for name in index if len(name) <= MAX_ID_CHARS and NODE_ID.fullmatch(name))
    graph = Graph(tuple(_parents(node, nodes, index, nameable, report) for node in nodes))
    for cycle in graph.cycles():
        _report_cycle(cycle, nodes, report)
    stages = tuple(node.stage for node in nodes)
    for number, outer in enumerate(around.nodes):
        index.setdefault(outer.name, len(nodes) + number)
    readable = [outer.name for outer in around.nodes if outer.readable]
    return Links(index, (*nameable, *readable), graph, stages, around)


def _parents(
    node: NodeFields,
    nodes: Sequence[NodeFields],
    index: dict[str, int],
    nameable: Sequence[str],
    report: Report,
) -> tuple[int, ...]:
    found: dict[int, None] = {}
    seen: set[str] = set()
    for place, name in enumerate(node.dependencies):
        if not isinstance(name, str):
            continue
        is_new = name in index and name not in seen and name != node.id
        if is_new and nodes[index[name]].stage == node.stage:
            found[index[name]] = None
        elif report.is_full:
            report.leave_out()
        elif is_new:
            _report_other_stage(node, place, name, nodes[index[name]].stage, report)
        else:
            _report_dependency(node, place, name, name in seen, nameable, report)
        seen.add(name)
    return tuple(found)


def _report_dependency(
    node: NodeFields, place: int, name: str, is_repeated: bool, nameable: Sequence[str], report: Report
) -> None:
    pointer = pointer_to(pointer_to(node.pointer, "dependencies"), place)
    if is_repeated:
        report.add("repeated_dependency", pointer, f"{quoted(name)} is named twice: name it once")
    elif name == node.id:
        report.add("self_dependency", pointer, f"the node {quoted(name)} depends on itself")
    else:
        nearest = did_you_mean(report.nearest(name, nameable))
        report.add("unknown_dependency", pointer, f"no node has the id {quoted(name)}{nearest}")


def _report_other_stage(node: NodeFields, place: int, name: str, other: Stage, report: Report) -> None:
    """Nodes of one list of the document do not depend on those of another."""
    lists = {"main": "nodes"}
    own, theirs = lists.get(node.stage, node.stage), lists.get(other, other)
    advice = (
        "all of these have ended before it starts: take it out, its templates may read them"
        if other in READS.get(node.stage, ())
        else "these run later"
    )
    report.add(
        "dependency_of_another_list",
        pointer_to(pointer_to(node.pointer, "dependencies"), place),
        f"{quoted(name)} is in '{theirs}', and a node in '{own}' depends on nodes in '{own}' only; {advice}",
    )


def _report_cycle(cycle: tuple[int, ...], nodes: Sequence[NodeFields], report: Report) -> None:
    names = [escaped(nodes[place].id or "") for place in (*cycle, cycle[0])]
    if len(names) > MAX_NAMED_IN_CYCLE:
        half = MAX_NAMED_IN_CYCLE // 2
        names[half:-half] = [f"... {len(names) - 2 * half} more ..."]
    report.add(
        "cycle",
        pointer_to(nodes[cycle[0]].pointer, "dependencies"),
        f"these nodes wait for each other, so none can start: {' -> '.join(names)}; "
        "take one of these dependencies away",
    )
