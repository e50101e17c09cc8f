"""Random acyclic graphs, as parents by node id, in any document order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from hypothesis import strategies as st

from flowengine.workflow.stages import HOOKS, OUTPUTS_NODE, Stage, Stages
from tests.support.checks.map_model import MapSays
from tests.support.checks.reference_model import Graph, Says


@st.composite
def graphs(draw: st.DrawFn, *, most: int = 8) -> Graph:
    """At least one node; each depends on some of those before it, and the document lists them anyhow."""
    count = draw(st.integers(1, most))
    parents = {f"n{node}": tuple(f"n{parent}" for parent in draw(_some_of(node))) for node in range(count)}
    return {node: parents[node] for node in draw(st.permutations(list(parents)))}


def _some_of(count: int) -> st.SearchStrategy[list[int]]:
    if count == 0:
        return st.just([])
    few = st.lists(st.integers(0, count - 1), max_size=3, unique=True)
    several = st.lists(st.integers(0, count - 1), min_size=min(2, count), max_size=4, unique=True)
    return st.one_of(few, several)


StageGraphs: TypeAlias = Mapping[Stage, Graph]
"""The nodes of the stages after the main one."""


@st.composite
def stages(draw: st.DrawFn) -> StageGraphs:
    """Outputs, hooks of failures, hooks at the end: each of them or not."""
    found: dict[Stage, Graph] = {}
    if draw(st.booleans()):
        found["outputs"] = {OUTPUTS_NODE: ()}
    for stage in HOOKS:
        if draw(st.booleans()):
            graph = draw(graphs(most=3))
            found[stage] = {
                f"{stage}_{node}": tuple(f"{stage}_{parent}" for parent in parents)
                for node, parents in graph.items()
            }
    return found


def names_of(stages: StageGraphs) -> dict[str, list[str]]:
    """The nodes of each stage."""
    return {stage: list(graph) for stage, graph in stages.items()}


def stages_of(stages: StageGraphs) -> Stages:
    """How many these are."""
    counted = {stage: len(graph) for stage, graph in stages.items()}
    return Stages(counted.get("outputs", 0), counted.get("on_failure", 0), counted.get("finally", 0))


RULES: Final = (
    "all_success",
    "none_failed",
    "none_failed_min_one_success",
    "all_done_min_one_success",
    "one_success",
    "all_done",
    "one_failed",
    "all_failed",
)


maps: Final = st.builds(MapSays, st.integers(0, 5), st.sampled_from([0, 1, 2, 3]), st.integers(0, 2))


@st.composite
def sayings(draw: st.DrawFn, graph: Graph, *, with_maps: bool = False) -> dict[str, Says]:
    """What the nodes of a graph say about when they run and about failures; half of them say nothing. With
    maps, one of them at least is one, but no outputs."""
    said = {}
    chosen = st.sets(st.sampled_from(list(graph)), min_size=1, max_size=3)
    mapped = draw(chosen) - {OUTPUTS_NODE} if with_maps else set()
    read = {parent for parents in graph.values() for parent in parents}
    for node, parents in graph.items():
        if node in mapped or draw(st.booleans()):
            each = draw(maps) if node in mapped else None
            plain = node != OUTPUTS_NODE and each is None
            times = draw(st.sampled_from([1, 1, 2, 3])) if plain else 1
            said[node] = Says(
                rule=draw(st.sampled_from(RULES if parents else ("all_success", "none_failed", "all_done"))),
                when=draw(st.sampled_from([None, None, True, False])),
                tolerates=draw(st.booleans()),
                tries=draw(st.sampled_from([1, 1, 2])),
                again=draw(st.sampled_from([None, None, True, False])),
                times=times,
                delayed=draw(st.booleans()),
                collects=draw(st.booleans()) and node not in read and plain,
                waits=draw(st.sampled_from(["", "", "", "", "wait", "signal", "approval", "callback"]))
                if times == 1 and plain
                else "",
                each=each,
            )
    return said
