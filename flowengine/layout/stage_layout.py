"""One stage laid out: where its cards stand, and the bends of its edges. Across and along the direction.

Nothing here knows whether "along" is down or to the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import sub
from typing import Final, NamedTuple, TypeAlias

import msgspec

from flowengine.layout.buses import Bus, buses_below
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


class Box(NamedTuple):
    """A card: its beginning across and along, and its sizes."""

    across: int
    along: int
    size: int
    depth: int


class StageLayout(msgspec.Struct, frozen=True):
    """Boxes by card, and for each path its bends, as points across and along. Nothing lies before 0 across.

    `first` and `last`: the least and the most that a line comes to across. Along it stays within the boxes.
    """

    boxes: tuple[Box, ...]
    lines: tuple[tuple[Point, ...], ...]
    first: int
    last: int


_Bends: TypeAlias = dict[int, tuple[int, int, int]]
"""For each two that a bus joins, as one number: where it leaves the upper one, where it meets the lower, and
at which height it runs across, if these differ."""


class _Channel(NamedTuple):
    buses: list[Bus]
    tracks: list[int]
    height: int
    gap: int


def stage_layout(placed: Middles, depths: Sequence[int], before: Sequence[int]) -> StageLayout:
    """`depths`: each card's size along; `before`: the room that it needs in front of it, for words."""
    channels = [_channel(placed, row) for row in placed.rows]
    firsts = [bus.first for channel in channels for bus in channel.buses]
    lasts = [bus.last for channel in channels for bus in channel.buses]
    halves = [size // 2 for size in placed.sizes]
    left = min([*map(sub, placed.middles, halves), *firsts])
    boxes = _boxes(placed, depths, before, channels, left)
    lines = _Lines(placed, _bends(placed, channels, boxes, left), boxes)
    return StageLayout(
        boxes=tuple(boxes),
        lines=tuple(map(lines.of, placed.graph.paths)),
        first=min(firsts, default=left) - left,
        last=max(lasts, default=left) - left,
    )


def _channel(placed: Middles, row: Sequence[int]) -> _Channel:
    buses = buses_below(placed, row)
    tracks, count = tracks_of(buses)
    gap = max(min(TRACK_GAP, _MOST_TRACKS_WIDTH // max(count, 1)), 1)
    return _Channel(buses, tracks, CHANNEL + gap * count, gap)


def _boxes(
    placed: Middles, depths: Sequence[int], before: Sequence[int], channels: Sequence[_Channel], left: int
) -> list[Box]:
    boxes = [Box(0, 0, 0, 0)] * placed.graph.cards
    middles, sizes, count = placed.middles, placed.sizes, len(boxes)
    along = 0
    for row, channel in zip(placed.rows, channels, strict=True):
        cards = [vertex for vertex in row if vertex < count]
        along += max([before[card] for card in cards], default=0)
        deepest = max([depths[card] for card in cards], default=0)
        for card in cards:
            size, depth = sizes[card], depths[card]
            across, begin = middles[card] - size // 2 - left, along + (deepest - depth) // 2
            boxes[card] = Box(across, begin, size, depth)
        along += deepest + channel.height
    return boxes


def _bends(placed: Middles, channels: Sequence[_Channel], boxes: Sequence[Box], left: int) -> _Bends:
    bends: _Bends = {}
    cards, count = len(boxes), len(placed.middles)
    for row, channel in zip(placed.rows, channels, strict=True):
        end = max([boxes[card].along + boxes[card].depth for card in row if card < cards], default=0)
        end += _BEFORE_TRACKS
        for bus, track in zip(channel.buses, channel.tracks, strict=True):
            height = end + channel.gap * track
            tops, bottoms, all_above, all_below, _, _ = bus
            if len(tops) == 1:
                top, begin = tops[0] * count, all_above[0] - left
                for bottom, below in zip(bottoms, all_below, strict=True):
                    bends[top + bottom] = (begin, below - left, height)
            else:
                bottom, finish = bottoms[0], all_below[0] - left
                for top, above in zip(tops, all_above, strict=True):
                    bends[top * count + bottom] = (above - left, finish, height)
    return bends


class _Lines:
    """The bends of edges. Those of a trunk are found once, for all edges that pass it."""

    def __init__(self, placed: Middles, bends: _Bends, boxes: Sequence[Box]) -> None:
        self._bends = bends
        self._boxes = boxes
        self._points: list[Point] = []
        self._count = count = len(placed.middles)
        self._begin = [0] * count
        for trunk in placed.graph.trunks:
            for upper, lower in pairwise(trunk):
                self._begin[upper] = len(self._points)
                above, below, height = bends[upper * count + lower]
                if above != below:
                    self._points += ((above, height), (below, height))
            self._begin[trunk[-1]] = len(self._points)

    def of(self, path: Path) -> tuple[Point, ...]:
        """An edge, from card to card."""
        source, target = self._boxes[path.source], self._boxes[path.target]
        turns, count = path.turns, self._count
        if not turns:
            above, below, height = self._bends[path.source * count + path.target]
            begin, end = (above, source.along + source.depth), (below, target.along)
            return (begin, end) if above == below else (begin, (above, height), (below, height), end)
        first, last = turns.start, turns.stop - 1
        above, enters, height = self._bends[path.source * count + first]
        line = [(above, source.along + source.depth)]
        if above != enters:
            line += ((above, height), (enters, height))
        line += self._points[self._begin[first] : self._begin[last]]
        leaves, below, height = self._bends[last * count + path.target]
        if leaves != below:
            line += ((leaves, height), (below, height))
        line.append((below, target.along))
        return tuple(line)
