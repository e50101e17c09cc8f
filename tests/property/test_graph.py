"""Random graphs against plain definitions: layers, ancestors, cycles."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flowengine.workflow.graph import Graph
from tests.support.documents import accepted, checked, codes, node, workflow

Parents = tuple[tuple[int, ...], ...]


@st.composite
def graphs(draw: st.DrawFn, *, acyclic: bool = False) -> Parents:
    """Parents of up to 12 nodes, in a random order of numbers."""
    size = draw(st.integers(1, 12))
    order = draw(st.permutations(range(size)))
    rank = {node: place for place, node in enumerate(order)}
    parents = []
    for node_number in range(size):
        others = [
            other
            for other in range(size)
            if other != node_number and (not acyclic or rank[other] < rank[node_number])
        ]
        chosen = draw(st.lists(st.sampled_from(others), unique=True, max_size=4)) if others else []
        parents.append(tuple(chosen))
    return tuple(parents)


def upstream(parents: Parents, start: int) -> set[int]:
    """The definition: whatever is reached by going from a node to its parents, once or more."""
    found: set[int] = set()
    pending = list(parents[start])
    while pending:
        current = pending.pop()
        if current not in found:
            found.add(current)
            pending.extend(parents[current])
    return found


@given(graphs())
def test_ancestors_are_what_can_be_reached(parents: Parents) -> None:
    """On cycles and off them, and the question about one pair agrees."""
    graph = Graph(parents)
    for current in range(len(parents)):
        expected = upstream(parents, current)
        assert graph.ancestor_bits(current) == sum(1 << other for other in expected)
        assert {other for other in range(len(parents)) if graph.is_ancestor(other, current)} == expected


@given(graphs())
def test_cycles_are_found_exactly_where_nodes_wait_for_each_other(parents: Parents) -> None:
    """One for each group of nodes that reach each other, and each is a real cycle without repeats."""
    above = [upstream(parents, current) for current in range(len(parents))]
    groups = {
        frozenset(other for other in above[current] if current in above[other])
        for current in range(len(parents))
        if current in above[current]
    }
    cycles = Graph(parents).cycles()
    assert len(cycles) == len(groups)
    for cycle in cycles:
        assert len(set(cycle)) == len(cycle) > 1
        assert any(set(cycle) <= group for group in groups)
        for parent, child in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert parent in parents[child]


@given(graphs(acyclic=True))
def test_layers_are_longest_paths(parents: Parents) -> None:
    """Every node is in one layer, one after the latest of its parents'."""
    layers = Graph(parents).layers
    place = {current: depth for depth, layer in enumerate(layers) for current in layer}
    assert sorted(place) == list(range(len(parents)))
    for current, given_parents in enumerate(parents):
        assert place[current] == max((place[parent] + 1 for parent in given_parents), default=0)
    assert Graph(parents).cycles() == ()


@given(graphs())
def test_the_validator_accepts_exactly_the_acyclic(parents: Parents) -> None:
    """And the plan it makes has the same parents."""
    document = workflow(
        *[
            node(f"n{place}", *[f"n{parent}" for parent in given_parents])
            for place, given_parents in enumerate(parents)
        ]
    )
    if Graph(parents).cycles():
        assert set(codes(checked(document))) == {"cycle"}
    else:
        plan = accepted(document).plan
        assert plan is not None
        assert tuple(found.parents for found in plan.nodes) == parents
