"""Random acyclic graphs, as parents by node id, in any document order."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

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


@st.composite
def sayings(draw: st.DrawFn, graph: Graph) -> dict[str, Says]:
    """What the nodes of a graph say about when they run and about failures; half of them say nothing."""
    said = {}
    for node, parents in graph.items():
        if draw(st.booleans()):
            said[node] = Says(
                rule=draw(st.sampled_from(RULES if parents else ("all_success", "none_failed", "all_done"))),
                when=draw(st.sampled_from([None, None, True, False])),
                tolerates=draw(st.booleans()),
                tries=draw(st.sampled_from([1, 1, 2])),
                again=draw(st.sampled_from([None, None, True, False])),
            )
    return said
