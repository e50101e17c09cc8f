"""The graph: layers, ancestors, cycles, at the sizes that people have."""

from __future__ import annotations

from flowengine.workflow.graph import Graph

DIAMOND = Graph(((), (0,), (0,), (1, 2), ()))


def ancestors(graph: Graph, node: int) -> set[int]:
    """Every node upstream of `node`."""
    bits = graph.ancestor_bits(node)
    return {place for place in range(bits.bit_length()) if bits >> place & 1}


def test_layers_follow_the_longest_path() -> None:
    """A node is in the layer after its last parent's."""
    assert DIAMOND.layers == ((0, 4), (1, 2), (3,))
    assert Graph(((), (0,), (0, 1))).layers == ((0,), (1,), (2,))


def test_successors_are_the_other_direction() -> None:
    """The nodes that name a node as parent."""
    assert DIAMOND.successors == ((1, 2), (3,), (3,), (), ())


def test_ancestors_are_everything_upstream() -> None:
    """Through any number of edges; never the node itself."""
    assert ancestors(DIAMOND, 3) == {0, 1, 2}
    assert ancestors(DIAMOND, 0) == set()
    assert DIAMOND.is_ancestor(0, 3)
    assert not DIAMOND.is_ancestor(3, 0)
    assert not DIAMOND.is_ancestor(1, 2)


def test_a_graph_without_cycles_has_none() -> None:
    """Also when nodes are written before their parents."""
    assert DIAMOND.cycles() == ()
    assert Graph(((1,), (2,), ())).cycles() == ()


def test_the_shortest_cycle_through_the_first_node_is_named() -> None:
    """In the direction of the edges, from the lowest node on."""
    assert Graph(((2,), (0,), (1, 0))).cycles() == ((0, 2),)
    assert Graph(((3,), (0,), (1,), (2,))).cycles() == ((0, 1, 2, 3),)


def test_each_group_of_waiting_nodes_gives_one_cycle() -> None:
    """What merely comes after a cycle is no part of one."""
    assert Graph(((1,), (0,), (1, 3), (2,), (3,))).cycles() == ((0, 1), (2, 3))


def test_on_a_cycle_nodes_are_upstream_of_themselves() -> None:
    """And what comes after the cycle has all of it upstream."""
    graph = Graph(((1,), (0,), (1,)))
    assert ancestors(graph, 0) == {0, 1}
    assert ancestors(graph, 2) == {0, 1}


def test_ancestors_as_bits_are_the_same_nodes() -> None:
    """Bit n stands for node n."""
    assert [DIAMOND.ancestor_bits(place) for place in range(5)] == [0, 0b1, 0b1, 0b111, 0]


def test_groups_on_cycles_have_those_of_the_groups_before_them() -> None:
    """Two rings, one after the other, and nodes before, between and after."""
    graph = Graph(((), (0, 2), (1,), (2,), (3, 5), (4,), (5,)))
    assert ancestors(graph, 1) == ancestors(graph, 2) == {0, 1, 2}
    assert ancestors(graph, 3) == {0, 1, 2}
    assert ancestors(graph, 4) == ancestors(graph, 5) == {0, 1, 2, 3, 4, 5}
    assert ancestors(graph, 6) == {0, 1, 2, 3, 4, 5}


def test_a_long_chain_and_a_long_cycle_need_no_stack() -> None:
    """Deeper than Python may recurse."""
    chain = Graph(((), *((place,) for place in range(4999))))
    assert len(chain.layers) == 5000
    assert len(ancestors(chain, 4999)) == 4999
    ring = Graph(((4999,), *((place,) for place in range(4999))))
    assert ring.cycles() == (tuple(range(5000)),)
    assert all(ring.ancestor_bits(place) == (1 << 5000) - 1 for place in range(5000))
