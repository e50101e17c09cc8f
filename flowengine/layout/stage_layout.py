"""One stage laid out: where its cards stand, and the bends of its edges. Across and along the direction.

Nothing here knows whether "along" is down or to the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import sub
from typing import Final, TypeAlias

import msgspec

from flowengine.layout.buses import buses_below
from flowengine.layout.coordinates import Middles
from flowengine.layout.drawing import Point
from flowengine.layout.layering import Path
from flowengine.layout.tracks import tracks_of

CHANNEL: Final = 17
"""Between two layers without tracks."""
TRACK_GAP: Final = 7
_BEFORE_TRACKS: Final = 9
_MOST_TRACKS_WIDTH: Final = 168
"""With more tracks than fit into this they move closer together."""


Box: TypeAlias = tuple[int, int, int, int]
"""A card: its beginning across and along, and its sizes, `size` and `depth`."""


class StageLayout(msgspec.Struct, frozen=True):
    """Boxes by card, and for each path its bends, as points across and along. Nothing lies before 0 across.

    `last`: the most that a turning point comes to across. Elsewhere a line stays within the sides of cards.
    """

    boxes: tuple[Box, ...]
    lines: tuple[tuple[Point, ...], ...]
    last: int


_Bends: TypeAlias = dict[int, tuple[int, int, int]]
"""For each two that a bus joins, as one number: where it leaves the upper one, where it meets the lower, and
at which height it runs across, if these differ."""


class _Rows:
    """Rows below each other, and between each two the buses that lead from one to the other.

    `begins`: where each begins along, and how deep it is.
    """

    def __init__(self, placed: Middles, depths: Sequence[int], before: Sequence[int]) -> None:
        self.bends: _Bends = {}
        self.begins: list[tuple[int, int]] = []
        cards, along = placed.graph.cards, 0
        for row in placed.rows:
            along += max([before[vertex] for vertex in row if vertex < cards], default=0)
            deepest = max([depths[vertex] for vertex in row if vertex < cards], default=0)
            self.begins.append((along, deepest))
            along += deepest
            along += self._add(placed, row, along)

    def _add(self, placed: Middles, row: Sequence[int], end: int) -> int:
        """Bend the buses below a row that ends here. How much room they take."""
        buses = buses_below(placed, row)
        if not buses:
            return CHANNEL
        tracks, count = tracks_of(buses)
        gap = max(min(TRACK_GAP, _MOST_TRACKS_WIDTH // max(count, 1)), 1)
        bends, vertices = self.bends, len(placed.middles)
        for (tops, bottoms, all_above, all_below, _, _), track in zip(buses, tracks, strict=True):
            height = end + _BEFORE_TRACKS + gap * track
            if len(tops) == len(bottoms) == 1:
                bends[tops[0] * vertices + bottoms[0]] = (all_above[0], all_below[0], height)
            elif len(tops) == 1:
                top, above = tops[0] * vertices, all_above[0]
                for bottom, below in zip(bottoms, all_below, strict=True):
                    bends[top + bottom] = (above, below, height)
            else:
                bottom, below = bottoms[0], all_below[0]
                for top, above in zip(tops, all_above, strict=True):
                    bends[top * vertices + bottom] = (above, below, height)
        return CHANNEL + gap * count


def stage_layout(placed: Middles, depths: Sequence[int], before: Sequence[int]) -> StageLayout:
    """`depths`: each card's size along; `before`: the room that it needs in front of it, for words."""
    rows = _Rows(placed, depths, before)
    turns, halves = placed.middles[placed.graph.cards :], [size // 2 for size in placed.sizes]
    left = min([*map(sub, placed.middles, halves), *turns])
    boxes = _boxes(placed, depths, rows.begins, left)
    lines = _Lines(placed, rows.bends, boxes, left)
    return StageLayout(
        boxes=tuple(boxes),
        lines=tuple(lines.of(placed.graph.paths)),
        last=max(turns, default=left) - left,
    )


def _boxes(placed: Middles, depths: Sequence[int], begins: Sequence[tuple[int, int]], left: int) -> list[Box]:
    boxes = [(0, 0, 0, 0)] * placed.graph.cards
    middles, sizes, count = placed.middles, placed.sizes, len(boxes)
    for row, (along, deepest) in zip(placed.rows, begins, strict=True):
        for card in row:
            if card < count:
                size, depth = sizes[card], depths[card]
                across, begin = middles[card] - size // 2 - left, along + (deepest - depth) // 2
                boxes[card] = (across, begin, size, depth)
    return boxes


class _Lines:
    """The bends of edges. Those of a trunk are found once, for all edges that pass it."""

    def __init__(self, placed: Middles, bends: _Bends, boxes: Sequence[Box], left: int) -> None:
        self._bends = bends
        self._boxes = boxes
        self._left = left
        self._points: list[Point] = []
        self._count = count = len(placed.middles)
        self._begin = [0] * count
        middles = placed.middles
        for trunk in placed.graph.trunks:
            for upper, lower in pairwise(trunk):
                self._begin[upper] = len(self._points)
                if middles[upper] != middles[lower]:
                    above, below, height = bends[upper * count + lower]
                    self._points += ((above - left, height), (below - left, height))
            self._begin[trunk[-1]] = len(self._points)

    def of(self, paths: Sequence[Path]) -> list[tuple[Point, ...]]:
        """Edges, each from card to card."""
        bends, boxes, count, left = self._bends, self._boxes, self._count, self._left
        points, begin = self._points, self._begin
        lines: list[tuple[Point, ...]] = []
        for source, turns, target in paths:
            _, along, _, depth = boxes[source]
            _, end, _, _ = boxes[target]
            along += depth
            if turns:
                first, last = turns.start, turns.stop - 1
                above, below, height = bends[source * count + first]
                x, to = above - left, below - left
                line = [(x, along)] if x == to else [(x, along), (x, height), (to, height)]
                line += points[begin[first] : begin[last]]
                above, below, height = bends[last * count + target]
                x, to = above - left, below - left
                line += ((to, end),) if x == to else ((x, height), (to, height), (to, end))
                lines.append(tuple(line))
                continue
            above, below, height = bends[source * count + target]
            x, to = above - left, below - left
            lines.append(
                ((x, along), (x, end)) if x == to else ((x, along), (x, height), (to, height), (to, end))
            )
        return lines
