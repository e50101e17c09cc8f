"""Which layer each node stands in, and the turning points that long edges are given in the layers between.

Long edges of one source, or into one target, share their turning points: they run as one trunk from which
branches leave, or into which they lead. So a node that a thousand others depend on gets one line and no
ribbon.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import Final, TypeAlias

import msgspec

from flowengine.workflow.graph import Graph

MOST_TURNS: Final = 5000
"""Turning points of a drawing. What does not fit is left out, longest edges first."""

MOST_EDGES: Final = 5000
"""Edges of a drawing, likewise."""

Link: TypeAlias = tuple[int, int]
Path: TypeAlias = tuple[int, range, int]
"""An edge that is drawn: its source, the turning points of a trunk that it passes, its target.

A plain tuple, as all that a drawing has thousands of: Python takes a named one apart in twice the time.
"""

_NO_TURNS: Final = range(0)


class Layered(msgspec.Struct, frozen=True):
    """Cards (numbers below `cards`) and turning points in layers, joined from layer to layer.

    `rows`: the layers. `above` and `below`: what each is joined to. `trunks`: the turning points of each,
    numbered on from layer to layer. `left_out`: how many edges are not drawn.
    """

    cards: int
    rows: tuple[tuple[int, ...], ...]
    above: tuple[tuple[int, ...], ...]
    below: tuple[tuple[int, ...], ...]
    trunks: tuple[range, ...]
    paths: tuple[Path, ...]
    left_out: int


def layered(graph: Graph, layers: Sequence[int] | None = None) -> Layered:
    """The layers of a graph without cycles. `layers`: its `layers_of`, if they are there."""
    drawn, layers, trunks = _thinned(graph, layers_of(graph) if layers is None else layers)
    return _with_turns(drawn, layers, trunks, _count(graph) - _count(drawn))


def layers_of(graph: Graph) -> list[int]:
    """For each node its layer: the longest path to it. One with more children than parents moves down to
    these."""
    layers = [0] * len(graph.parents)
    for number, nodes in enumerate(graph.layers):
        for node in nodes:
            layers[node] = number
    successors, parents = graph.successors, graph.parents
    for nodes in reversed(graph.layers):
        for node in nodes:
            children = successors[node]
            if len(children) > len(parents[node]):
                layers[node] = min([layers[child] for child in children]) - 1
    return layers


def _count(graph: Graph) -> int:
    return sum(map(len, graph.parents))


def _links(graph: Graph) -> list[Link]:
    return [(parent, node) for node, parents in enumerate(graph.parents) for parent in parents]


def _thinned(graph: Graph, layers: Sequence[int]) -> tuple[Graph, Sequence[int], _Trunks]:
    """The graph with no more edges than can be drawn: at first without those that other edges imply."""
    if _count(graph) <= MOST_EDGES:
        trunks = _Trunks(graph, layers)
        if trunks.turns <= MOST_TURNS:
            return graph, layers, trunks
    graph = _without(graph, _implied(graph))
    layers = layers_of(graph)
    trunks = _Trunks(graph, layers)
    if _count(graph) <= MOST_EDGES and trunks.turns <= MOST_TURNS:
        return graph, layers, trunks
    dropped, turns, edges = [], MOST_TURNS, MOST_EDGES
    for source, target in sorted(_links(graph), key=lambda link: layers[link[1]] - layers[link[0]]):
        turns -= layers[target] - layers[source] - 1
        edges -= 1
        if min(turns, edges) < 0:
            dropped.append((source, target))
    graph = _without(graph, dropped)
    return graph, layers, _Trunks(graph, layers)


def _implied(graph: Graph) -> list[Link]:
    found: list[Link] = []
    for node, parents in enumerate(graph.parents):
        above = reduce(or_, map(graph.ancestor_bits, parents), 0)
        found.extend((parent, node) for parent in parents if above >> parent & 1)
    return found


def _without(graph: Graph, links: Iterable[Link]) -> Graph:
    gone = set(links)
    return Graph(
        tuple(
            tuple(parent for parent in parents if (parent, node) not in gone)
            for node, parents in enumerate(graph.parents)
        )
    )


class _Trunks:
    """The long edges by the end whose trunk they share: that which has more of them.

    `spans`: each trunk as its node, and the first and the last layer of its turning points. `turns`: how many
    these are.
    """

    def __init__(self, graph: Graph, layers: Sequence[int]) -> None:
        long = [
            (parent, node)
            for node, parents in enumerate(graph.parents)
            for parent in parents
            if layers[node] - layers[parent] > 1
        ]
        leaving, coming = [0] * len(layers), [0] * len(layers)
        for source, target in long:
            leaving[source] += 1
            coming[target] += 1
        below: dict[int, int] = {}
        above: dict[int, int] = {}
        self.coming_in: set[Link] = set()
        for source, target in long:
            if coming[target] > leaving[source]:
                above[target] = min(above.get(target, layers[source]), layers[source])
                self.coming_in.add((source, target))
            else:
                below[source] = max(below.get(source, 0), layers[target])
        self.spans = [(source, layers[source] + 1, last - 1) for source, last in below.items()]
        self.spans += [(target, first + 1, layers[target] - 1) for target, first in above.items()]
        self.turns = sum([last - first + 1 for _, first, last in self.spans])


class _Turns:
    """Turning points as they are made: numbers that follow those of the cards."""

    def __init__(self, layers: Sequence[int], trunks: _Trunks) -> None:
        self.count = len(layers)
        self.layers = list(layers)
        self.trunks: list[range] = []
        self._coming_in = trunks.coming_in
        self._into: dict[int, int] = {}
        self._from: dict[int, int] = {}
        """The number, less its layer, of each turning point of the trunk into a node, and of that from it."""
        for node, first, last in trunks.spans:
            (self._into if first <= layers[node] else self._from)[node] = self.count - first
            self.trunks.append(range(self.count, self.count + last - first + 1))
            self.layers.extend(range(first, last + 1))
            self.count += last - first + 1

    def path(self, source: int, target: int) -> Path:
        """How a long edge runs."""
        first, last = self.layers[source] + 1, self.layers[target]
        start = self._into[target] if (source, target) in self._coming_in else self._from[source]
        return source, range(start + first, start + last), target


def _with_turns(graph: Graph, layers: Sequence[int], trunks: _Trunks, left_out: int) -> Layered:
    turns = _Turns(layers, trunks)
    paths = [
        (parent, _NO_TURNS, node) if layers[node] - layers[parent] == 1 else turns.path(parent, node)
        for node, parents in enumerate(graph.parents)
        for parent in parents
    ]
    rows: list[list[int]] = [[] for _ in range(max(turns.layers) + 1)]
    for vertex, layer in enumerate(turns.layers):
        rows[layer].append(vertex)
    above: list[list[int]] = [[] for _ in range(turns.count)]
    below: list[list[int]] = [[] for _ in range(turns.count)]
    _join(paths, turns.trunks, above, below)
    return Layered(
        cards=len(graph.parents),
        rows=tuple(map(tuple, rows)),
        above=tuple(map(tuple, above)),
        below=tuple(map(tuple, below)),
        trunks=tuple(turns.trunks),
        paths=tuple(paths),
        left_out=left_out,
    )


def _join(
    paths: Iterable[Path], trunks: Iterable[range], above: Sequence[list[int]], below: Sequence[list[int]]
) -> None:
    """Join each to what it leads to in the next layer, once.

    Paths that share the first step, or the last one, share a trunk at that end, which nothing else enters, or
    leaves, there.
    """
    long: list[tuple[int, int]] = []
    for source, turns, target in paths:
        if turns:
            first = turns.start
            long.append((turns.stop - 1, target))
            if above[first] and above[first][-1] == source:
                continue
        else:
            first = target
        above[first].append(source)
        below[source].append(first)
    for last, target in long:
        if not below[last] or below[last][-1] != target:
            above[target].append(last)
            below[last].append(target)
    for trunk in trunks:
        for upper, lower in pairwise(trunk):
            above[lower].append(upper)
            below[upper].append(lower)
