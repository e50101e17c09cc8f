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
from typing import Final, NamedTuple, TypeAlias

import msgspec

from flowengine.workflow.graph import Graph

MOST_TURNS: Final = 5000
"""Turning points of a drawing. What does not fit is left out, longest edges first."""

MOST_EDGES: Final = 5000
"""Edges of a drawing, likewise."""

Link: TypeAlias = tuple[int, int]


class Path(NamedTuple):
    """An edge that is drawn: the cards at its ends, and the turning points of a trunk that it passes."""

    source: int
    turns: range
    target: int

    @property
    def after_source(self) -> int:
        """What it comes to first."""
        return self.turns.start if self.turns else self.target

    @property
    def before_target(self) -> int:
        """What it comes from at last."""
        return self.turns.stop - 1 if self.turns else self.source


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


def layered(graph: Graph) -> Layered:
    """The layers of a graph without cycles."""
    drawn, layers = _thinned(graph)
    return _with_turns(drawn, layers, _count(graph) - _count(drawn))


def layers_of(graph: Graph) -> list[int]:
    """For each node its layer: the longest path to it. One with more children than parents moves down to
    these."""
    layers = [0] * len(graph.parents)
    for number, nodes in enumerate(graph.layers):
        for node in nodes:
            layers[node] = number
    for nodes in reversed(graph.layers):
        for node in nodes:
            children = graph.successors[node]
            if len(children) > len(graph.parents[node]):
                layers[node] = min(layers[child] for child in children) - 1
    return layers


def _count(graph: Graph) -> int:
    return sum(map(len, graph.parents))


def _links(graph: Graph) -> list[Link]:
    return [(parent, node) for node, parents in enumerate(graph.parents) for parent in parents]


def _thinned(graph: Graph) -> tuple[Graph, list[int]]:
    """The graph with no more edges than can be drawn: at first without those that other edges imply."""
    if _count(graph) <= MOST_EDGES:
        layers = layers_of(graph)
        if _turns(graph, layers) <= MOST_TURNS:
            return graph, layers
    graph = _without(graph, _implied(graph))
    layers = layers_of(graph)
    if _count(graph) <= MOST_EDGES and _turns(graph, layers) <= MOST_TURNS:
        return graph, layers
    dropped, turns, edges = [], MOST_TURNS, MOST_EDGES
    for source, target in sorted(_links(graph), key=lambda link: layers[link[1]] - layers[link[0]]):
        turns -= layers[target] - layers[source] - 1
        edges -= 1
        if min(turns, edges) < 0:
            dropped.append((source, target))
    return _without(graph, dropped), layers


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
    """The long edges by the end whose trunk they share: that which has more of them."""

    def __init__(self, graph: Graph, layers: Sequence[int]) -> None:
        long = [link for link in _links(graph) if layers[link[1]] - layers[link[0]] > 1]
        leaving, coming = [0] * len(layers), [0] * len(layers)
        for source, target in long:
            leaving[source] += 1
            coming[target] += 1
        self.of_source: dict[int, list[int]] = {}
        self.of_target: dict[int, list[int]] = {}
        self.coming_in: set[Link] = set()
        for source, target in long:
            if coming[target] > leaving[source]:
                self.of_target.setdefault(target, []).append(source)
                self.coming_in.add((source, target))
            else:
                self.of_source.setdefault(source, []).append(target)

    def spans(self, layers: Sequence[int]) -> list[tuple[int, int, int]]:
        """Each trunk as its node, and the first and the last layer of its turning points."""
        down = [
            (source, layers[source] + 1, max(layers[target] for target in targets) - 1)
            for source, targets in self.of_source.items()
        ]
        up = [
            (target, min(layers[source] for source in sources) + 1, layers[target] - 1)
            for target, sources in self.of_target.items()
        ]
        return down + up


def _turns(graph: Graph, layers: Sequence[int]) -> int:
    return sum(last - first + 1 for _, first, last in _Trunks(graph, layers).spans(layers))


class _Turns:
    """Turning points as they are made: numbers that follow those of the cards."""

    def __init__(self, graph: Graph, layers: Sequence[int]) -> None:
        self.count = len(layers)
        self.layers = list(layers)
        self.trunks: list[range] = []
        self._of_links = _Trunks(graph, layers)
        self._first: dict[tuple[int, bool], int] = {}
        for node, first, last in self._of_links.spans(layers):
            self._first[node, first <= layers[node]] = self.count - first
            self.trunks.append(range(self.count, self.count + last - first + 1))
            self.layers.extend(range(first, last + 1))
            self.count += last - first + 1

    def path(self, source: int, target: int) -> Path:
        """How an edge runs."""
        first, last = self.layers[source] + 1, self.layers[target]
        if first == last:
            return Path(source, range(0), target)
        comes_in = (source, target) in self._of_links.coming_in
        start = self._first[target if comes_in else source, comes_in]
        return Path(source, range(start + first, start + last), target)


def _with_turns(graph: Graph, layers: Sequence[int], left_out: int) -> Layered:
    turns = _Turns(graph, layers)
    paths = [turns.path(source, target) for source, target in _links(graph)]
    rows: list[list[int]] = [[] for _ in range(max(turns.layers) + 1)]
    for vertex, layer in enumerate(turns.layers):
        rows[layer].append(vertex)
    above: list[list[int]] = [[] for _ in range(turns.count)]
    below: list[list[int]] = [[] for _ in range(turns.count)]
    for upper, lower in _joined(paths, turns.trunks):
        above[lower].append(upper)
        below[upper].append(lower)
    return Layered(
        cards=len(graph.parents),
        rows=tuple(map(tuple, rows)),
        above=tuple(map(tuple, above)),
        below=tuple(map(tuple, below)),
        trunks=tuple(turns.trunks),
        paths=tuple(paths),
        left_out=left_out,
    )


def _joined(paths: Iterable[Path], trunks: Iterable[range]) -> Iterable[Link]:
    """What is joined to what in the next layer, each once."""
    found = dict.fromkeys((path.source, path.after_source) for path in paths)
    found.update(dict.fromkeys((path.before_target, path.target) for path in paths))
    found.update(dict.fromkeys(pair for trunk in trunks for pair in pairwise(trunk)))
    return found
