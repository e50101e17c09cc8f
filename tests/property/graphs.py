"""Random acyclic graphs, as parents by node id, in any document order."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.checks.reference_model import Graph


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
