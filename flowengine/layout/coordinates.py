"""Where each node stands in its layer: near the middle of what it is joined to.

Sweeps down and up, each layer solved exactly for the one before it (`spacing.py`). Turning points weigh more
than cards, so that long edges are straight. Then what is nearly straight is made straight, as far as there is
room.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import floor
from typing import Final, NamedTuple

import msgspec

from flowengine.layout.layering import Layered
from flowengine.layout.spacing import spaced

SWEEPS: Final = 2
"""Down and up again; fewer where nothing moves any more."""
TURN_WEIGHT: Final = 4.0
_IDLE_WEIGHT: Final = 0.01
_UNBOUNDED: Final = 1 << 60
CARD_GAP: Final = 16
TURN_GAP: Final = 12
"""Between a turning point and a card, and about between two turning points."""


class Middles(msgspec.Struct, frozen=True):
    """For each card and turning point, the middle of it across the direction of the drawing."""

    graph: Layered
    rows: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]
    middles: tuple[int, ...]


def middles_of(graph: Layered, rows: Sequence[Sequence[int]], sizes: Sequence[int]) -> Middles:
    """Middles as whole numbers, for cards of these sizes across; turning points have none."""
    row_gaps = [[gap_between(graph, sizes, left, right) for left, right in pairwise(row)] for row in rows]
    places = [0.0] * len(graph.above)
    for row, gaps in zip(rows, row_gaps, strict=True):
        _put(row, spaced([0.0] * len(row), [1.0] * len(row), gaps), places)
    layers = list(zip(rows, row_gaps, strict=True))
    above, below = _pulls(graph.cards, graph.above), _pulls(graph.cards, graph.below)
    for _ in range(SWEEPS):
        before = list(places)
        for row, gaps in layers:
            _align(row, gaps, above, places)
        for row, gaps in reversed(layers):
            _align(row, gaps, below, places)
        if places == before:
            break
    middles = _whole(rows, row_gaps, places)
    _straighten(graph, rows, row_gaps, middles)
    return Middles(graph, tuple(map(tuple, rows)), tuple(sizes), tuple(middles))


def gap_between(graph: Layered, sizes: Sequence[int], left: int, right: int) -> int:
    """How far the middles of two neighbours are apart at least."""
    cards = (left < graph.cards) + (right < graph.cards)
    gap = CARD_GAP if cards == 2 else TURN_GAP
    return -(-(_size(sizes, left) + _size(sizes, right)) // 2) + gap


def _size(sizes: Sequence[int], vertex: int) -> int:
    return sizes[vertex] if vertex < len(sizes) else 0


def _put(row: Sequence[int], found: Sequence[float], places: list[float]) -> None:
    for vertex, place in zip(row, found, strict=True):
        places[vertex] = place


class _Pull(NamedTuple):
    """What draws a vertex to its neighbours on one side: these, how much each does, and how much all do."""

    others: tuple[int, ...]
    shares: tuple[float, ...]
    weight: float


def _pulls(cards: int, neighbours: Sequence[tuple[int, ...]]) -> list[_Pull]:
    found = []
    for vertex, others in enumerate(neighbours):
        weights = [TURN_WEIGHT if vertex >= cards <= other else 1.0 for other in others]
        total = sum(weights)
        found.append(_Pull(others, tuple([weight / total for weight in weights]), total or _IDLE_WEIGHT))
    return found


def _align(row: Sequence[int], gaps: Sequence[int], pulls: Sequence[_Pull], places: list[float]) -> None:
    """Put a row under, or over, what it is joined to on the one side."""
    wanted, weights = [], []
    for vertex in row:
        others, shares, weight = pulls[vertex]
        weights.append(weight)
        if len(others) == 1:
            wanted.append(places[others[0]])
        elif others:
            wanted.append(sum([places[other] * share for other, share in zip(others, shares, strict=True)]))
        else:
            wanted.append(places[vertex])
    _put(row, spaced(wanted, weights, gaps), places)


def _whole(
    rows: Sequence[Sequence[int]], row_gaps: Sequence[Sequence[int]], places: Sequence[float]
) -> list[int]:
    """The places as whole numbers that keep their distances."""
    middles = [0] * len(places)
    for row, gaps in zip(rows, row_gaps, strict=True):
        for vertex in row:
            middles[vertex] = floor(places[vertex] + 0.5)
        for (left, right), gap in zip(pairwise(row), gaps, strict=True):
            middles[right] = max(middles[right], middles[left] + gap)
    return middles


def _straighten(
    graph: Layered, rows: Sequence[Sequence[int]], row_gaps: Sequence[Sequence[int]], middles: list[int]
) -> None:
    """Move runs of vertices that have one neighbour each way onto one line, as far as there is room."""
    room = _Room(rows, row_gaps, len(middles))
    for row in rows:
        for vertex in row:
            if _is_single(graph, vertex):
                continue
            run = [vertex]
            while len(graph.below[run[-1]]) == 1 and len(graph.above[graph.below[run[-1]][0]]) == 1:
                run.append(graph.below[run[-1]][0])
            room.line_up(run, middles)
    for trunk in graph.trunks:
        room.line_up(trunk, middles)


def _is_single(graph: Layered, vertex: int) -> bool:
    """Whether it is the only one below its only neighbour above."""
    above = graph.above[vertex]
    return len(above) == 1 and len(graph.below[above[0]]) == 1


class _Room:
    """How far each vertex can be moved between its neighbours in the row."""

    def __init__(self, rows: Sequence[Sequence[int]], row_gaps: Sequence[Sequence[int]], count: int) -> None:
        self._left: list[tuple[int, int] | None] = [None] * count
        self._right: list[tuple[int, int] | None] = [None] * count
        for row, gaps in zip(rows, row_gaps, strict=True):
            for (left, right), gap in zip(pairwise(row), gaps, strict=True):
                self._right[left] = (right, gap)
                self._left[right] = (left, gap)

    def line_up(self, run: Sequence[int], middles: list[int]) -> None:
        """Put them on one line if there is one that all can reach."""
        if len(run) < 2:
            return
        least = max([self._least(vertex, middles) for vertex in run])
        most = min([self._most(vertex, middles) for vertex in run])
        if least > most:
            return
        middle = sorted([middles[vertex] for vertex in run])[len(run) // 2]
        line = min(max(middle, least), most)
        for vertex in run:
            middles[vertex] = line

    def _least(self, vertex: int, middles: Sequence[int]) -> int:
        found = self._left[vertex]
        return -_UNBOUNDED if found is None else middles[found[0]] + found[1]

    def _most(self, vertex: int, middles: Sequence[int]) -> int:
        found = self._right[vertex]
        return _UNBOUNDED if found is None else middles[found[0]] - found[1]
