"""Where each node stands in its layer: near the middle of what it is joined to.

Sweeps down and up, each layer solved exactly for the one before it (`spacing.py`). Turning points weigh more
than cards, so that long edges are straight. Then what is nearly straight is made straight, as far as there is
room.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import floor
from operator import mul, sub
from typing import Final

import msgspec

from flowengine.layout.layering import Layered
from flowengine.layout.spacing import spaced_from

SWEEPS: Final = 2
"""Down and up again; fewer where nothing moves any more."""
TURN_WEIGHT: Final = 4.0
_IDLE_WEIGHT: Final = 0.01
_STILL: Final = 1e-6
_UNBOUNDED: Final = 1 << 60
CARD_GAP: Final = 16
TURN_GAP: Final = 12
"""Between a turning point and a card, and about between two turning points."""
_INSET: Final = 12
"""How far from a card's corner an edge may touch it."""


class Middles(msgspec.Struct, frozen=True):
    """For each card and turning point, the middle of it across the direction of the drawing.

    `halves`: how far from its middle an edge may touch it.
    """

    graph: Layered
    rows: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]
    middles: tuple[int, ...]
    halves: tuple[int, ...]


def middles_of(
    graph: Layered, rows: Sequence[Sequence[int]], sizes: Sequence[int], sides: Sequence[int]
) -> Middles:
    """Middles as whole numbers, for cards of these sizes across; turning points have none.

    `sides`: how long the side of each card is that edges touch. A size may hold words beside it.
    """
    row_gaps = [_gaps(graph, sizes, row) for row in rows]
    offsets = [list(accumulate(gaps, initial=0.0)) for gaps in row_gaps]
    places = [0.0] * len(graph.above)
    down = [_Alignment(graph, graph.above, row, offset) for row, offset in zip(rows, offsets, strict=True)]
    for aligned, row, offset in zip(down, rows, offsets, strict=True):
        # Where a row begins matters to those only that nothing above draws.
        if aligned.has_idle:
            _put(row, spaced_from([0.0] * len(row), [1.0] * len(row), offset), places)
    up = [_Alignment(graph, graph.below, row, offset) for row, offset in zip(rows, offsets, strict=True)]
    free_from = max([number for number, row in enumerate(down) if row.has_idle], default=0)
    for _ in range(SWEEPS):
        reached = _swept_down(down, free_from, places)
        for each in reversed(up[:reached]):
            each.align(places)
    middles = _straightened(graph, rows, row_gaps, _whole(rows, row_gaps, places))
    halves = [max(size // 2 - _INSET, 0) for size in sides] + [0] * (len(middles) - len(sides))
    return Middles(graph, tuple(map(tuple, rows)), tuple(sizes), tuple(middles), tuple(halves))


def _swept_down(down: Sequence[_Alignment], free_from: int, places: list[float]) -> int:
    """Align the rows from above, as far as they move. The last one aligned.

    Where a row comes to stand as it stood in the sweep before, or moved as a whole, so would all below it.
    From `free_from` on each row hangs by the one above it alone.
    """
    for number, row in enumerate(down):
        moved = row.align(places)
        if moved is not None and number >= free_from:
            for each in down[: number + 1]:
                each.move(-moved, places)
            return number
    return len(down) - 1


def _gaps(graph: Layered, sizes: Sequence[int], row: Sequence[int]) -> list[int]:
    """How far the middles of each two neighbours are apart at least."""
    cards = graph.cards
    gaps: list[int] = []
    for left, right in pairwise(row):
        if left < cards and right < cards:
            gaps.append((sizes[left] + sizes[right] + 1) // 2 + CARD_GAP)
        else:
            size = sizes[left] if left < cards else sizes[right] if right < cards else 0
            gaps.append((size + 1) // 2 + TURN_GAP)
    return gaps


def _put(row: Sequence[int], found: Sequence[float], places: list[float]) -> None:
    for vertex, place in zip(row, found, strict=True):
        places[vertex] = place


class _Alignment:
    """A row, and what draws each vertex of it to its neighbours on one side: these, each by its weight."""

    def __init__(
        self,
        graph: Layered,
        neighbours: Sequence[Sequence[int]],
        row: Sequence[int],
        offsets: Sequence[float],
    ) -> None:
        self._row = row
        self._offsets = offsets
        self._weights: list[float] = []
        self._firsts: list[int] = []
        self._two: list[tuple[int, int, int]] = []
        self._several: list[tuple[int, Sequence[int], Sequence[float]]] = []
        self._found: list[float] = []
        self.has_idle = False
        cards = graph.cards
        add_first, add_weight = self._firsts.append, self._weights.append
        for number, vertex in enumerate(row):
            others = neighbours[vertex]
            if len(others) == 1:
                add_first(others[0])
                add_weight(1.0 if vertex < cards or others[0] < cards else TURN_WEIGHT)
            elif not others:
                add_first(vertex)
                add_weight(_IDLE_WEIGHT)
                self.has_idle = True
            elif vertex < cards:
                add_first(others[0])
                add_weight(len(others))
                if len(others) == 2:
                    self._two.append((number, others[0], others[1]))
                else:
                    self._several.append((number, others, (1 / len(others),) * len(others)))
            else:
                add_first(others[0])
                weights = [TURN_WEIGHT if cards <= other else 1.0 for other in others]
                total = sum(weights)
                add_weight(total)
                self._several.append((number, others, [weight / total for weight in weights]))

    def align(self, places: list[float]) -> float | None:
        """Put the row under, or over, what it is joined to on the one side.

        How far it stands from where this put it before, if it has only moved as a whole.
        """
        wanted = [places[vertex] for vertex in self._firsts]
        for number, one, other in self._two:
            wanted[number] = places[one] * 0.5 + places[other] * 0.5
        for number, others, shares in self._several:
            wanted[number] = sum(map(mul, [places[other] for other in others], shares))
        before, self._found = self._found, spaced_from(wanted, self._weights, self._offsets)
        _put(self._row, self._found, places)
        if not before:
            return None
        moved = list(map(sub, self._found, before))
        return moved[0] if max(moved) - min(moved) < _STILL else None

    def move(self, by: float, places: list[float]) -> None:
        """Move the row as a whole."""
        for vertex in self._row:
            places[vertex] += by


def _whole(
    rows: Sequence[Sequence[int]], row_gaps: Sequence[Sequence[int]], places: Sequence[float]
) -> list[int]:
    """The places as whole numbers that keep their distances."""
    middles = [0] * len(places)
    for row, gaps in zip(rows, row_gaps, strict=True):
        least = -_UNBOUNDED
        for vertex, gap in zip(row, [*gaps, 0], strict=True):
            middle = floor(places[vertex] + 0.5)
            if middle < least:
                middle = least
            middles[vertex] = middle
            least = middle + gap
    return middles


def _straightened(
    graph: Layered, rows: Sequence[Sequence[int]], row_gaps: Sequence[Sequence[int]], middles: Sequence[int]
) -> list[int]:
    """Move what follows on each other alone onto one line, as far as there is room."""
    room = _Room(rows, row_gaps, middles)
    heirs = _heirs(graph)
    begun = set(heirs.values())
    for row in rows:
        for vertex in row:
            heir = heirs.get(vertex)
            if heir is not None and vertex not in begun:
                run = [vertex]
                while heir is not None:
                    run.append(heir)
                    heir = heirs.get(heir)
                room.line_up(run)
    for trunk in graph.trunks:
        if len(trunk) > 1:
            room.line_up(trunk)
    return room.middles[: len(middles)]


def _heirs(graph: Layered) -> dict[int, int]:
    """For each vertex the one that alone follows it, and follows nothing else; trunks aside."""
    cards = graph.cards
    heirs: dict[int, int] = {}
    all_above = graph.above
    for vertex, below in enumerate(graph.below):
        heir = below[0] if len(below) == 1 else _only_card(cards, below)
        if heir is not None:
            above = all_above[heir]
            if len(above) == 1 or _only_card(cards, above) == vertex:
                heirs[vertex] = heir
    return heirs


def _only_card(cards: int, vertices: Sequence[int]) -> int | None:
    found = None
    for vertex in vertices:
        if vertex < cards:
            if found is not None:
                return None
            found = vertex
    return found


class _Room:
    """How far each vertex can be moved between its neighbours in the row."""

    def __init__(
        self, rows: Sequence[Sequence[int]], row_gaps: Sequence[Sequence[int]], middles: Sequence[int]
    ) -> None:
        count = len(middles)
        self.middles = [*middles, -_UNBOUNDED, _UNBOUNDED]
        """Behind those of the vertices stand two, left and right of all rows."""
        self._left, self._right = lefts, rights = [count] * count, [count + 1] * count
        self._gaps = gaps = [0] * (count + 1)
        """The least distance of each to the next one on the right."""
        for row, row_gap in zip(rows, row_gaps, strict=True):
            for left, right, gap in zip(row, row[1:], row_gap, strict=False):
                rights[left], lefts[right], gaps[left] = right, left, gap

    def line_up(self, run: Sequence[int]) -> None:
        """Put them on one line, or on a few if there is none that all can reach."""
        middles = self.middles
        lefts, rights, gaps = self._left, self._right, self._gaps
        part: list[int] = []
        least, most = -_UNBOUNDED, _UNBOUNDED
        for vertex in run:
            left = lefts[vertex]
            left = middles[left] + gaps[left]
            right = middles[rights[vertex]] - gaps[vertex]
            if left > most or right < least:
                self._put_on_line(part, least, most)
                part, least, most = [vertex], left, right
                continue
            part.append(vertex)
            if left > least:
                least = left
            if right < most:
                most = right
        self._put_on_line(part, least, most)

    def _put_on_line(self, part: Sequence[int], least: int, most: int) -> None:
        if len(part) == 1:
            return
        middles = self.middles
        middle = sorted([middles[vertex] for vertex in part])[len(part) // 2]
        middle = least if middle < least else most if middle > most else middle
        for vertex in part:
            middles[vertex] = middle
