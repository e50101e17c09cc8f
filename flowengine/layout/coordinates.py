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
        if vertex < cards:
            total = float(len(others))
            shares = (1 / total,) * len(others) if others else ()
        else:
            weights = [TURN_WEIGHT if cards <= other else 1.0 for other in others]
            total = sum(weights)
            shares = tuple([weight / total for weight in weights])
        found.append(_Pull(others, shares, total or _IDLE_WEIGHT))
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
    """Move what follows on each other alone onto one line, as far as there is room."""
    room = _Room(rows, row_gaps, len(middles))
    heirs = _heirs(graph)
    begun = set(heirs.values())
    for row in rows:
        for vertex in row:
            if vertex in heirs and vertex not in begun:
                run = [vertex]
                while run[-1] in heirs:
                    run.append(heirs[run[-1]])
                room.line_up(run, middles)
    for trunk in graph.trunks:
        room.line_up(trunk, middles)


def _heirs(graph: Layered) -> dict[int, int]:
    """For each vertex the one that alone follows it, and follows nothing else; trunks aside."""
    heirs = {}
    for vertex, below in enumerate(graph.below):
        follows = _cards_of(graph, below)
        if len(follows) == 1 and _cards_of(graph, graph.above[follows[0]]) == (vertex,):
            heirs[vertex] = follows[0]
    return heirs


def _cards_of(graph: Layered, vertices: tuple[int, ...]) -> tuple[int, ...]:
    """Those that are cards; of a lone one, itself."""
    return vertices if len(vertices) == 1 else tuple([vertex for vertex in vertices if vertex < graph.cards])


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
        """Put them on one line, or on a few if there is none that all can reach."""
        part: list[int] = []
        least, most = -_UNBOUNDED, _UNBOUNDED
        for vertex in run:
            left, right = self._least(vertex, middles), self._most(vertex, middles)
            if max(least, left) > min(most, right):
                _put_on_line(part, least, most, middles)
                part, least, most = [], -_UNBOUNDED, _UNBOUNDED
            part.append(vertex)
            least, most = max(least, left), min(most, right)
        _put_on_line(part, least, most, middles)

    def _least(self, vertex: int, middles: Sequence[int]) -> int:
        found = self._left[vertex]
        return -_UNBOUNDED if found is None else middles[found[0]] + found[1]

    def _most(self, vertex: int, middles: Sequence[int]) -> int:
        found = self._right[vertex]
        return _UNBOUNDED if found is None else middles[found[0]] - found[1]


def _put_on_line(part: Sequence[int], least: int, most: int, middles: list[int]) -> None:
    middle = sorted([middles[vertex] for vertex in part])[len(part) // 2]
    for vertex in part:
        middles[vertex] = min(max(middle, least), most)
