"""One stage laid out: where its cards stand, and the bends of its edges. Across and along the direction.

Nothing here knows whether "along" is down or to the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
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
    """Boxes by card, and for each path of the graph its bends, as points across and along."""

    boxes: tuple[Box, ...]
    lines: tuple[tuple[Point, ...], ...]


_Bends: TypeAlias = dict[tuple[int, int], tuple[int, int, int]]


class _Channel(NamedTuple):
    buses: list[Bus]
    tracks: list[int]
    height: int
    gap: int


def stage_layout(placed: Middles, depths: Sequence[int], before: Sequence[int]) -> StageLayout:
    """`depths`: each card's size along; `before`: the room that it needs in front of it, for words."""
    channels = [_channel(placed, row) for row in placed.rows]
    boxes = _boxes(placed, depths, before, channels)
    bends = _bends(placed, channels, boxes)
    lines = _Lines(placed, bends, boxes)
    return StageLayout(tuple(boxes), tuple(map(lines.of, placed.graph.paths)))


def _channel(placed: Middles, row: Sequence[int]) -> _Channel:
    buses = buses_below(placed, row)
    tracks, count = tracks_of(buses)
    gap = max(min(TRACK_GAP, _MOST_TRACKS_WIDTH // max(count, 1)), 1)
    return _Channel(buses, tracks, CHANNEL + gap * count, gap)


def _boxes(
    placed: Middles, depths: Sequence[int], before: Sequence[int], channels: Sequence[_Channel]
) -> list[Box]:
    boxes = [Box(0, 0, 0, 0)] * placed.graph.cards
    along = 0
    for row, channel in zip(placed.rows, channels, strict=True):
        cards = [vertex for vertex in row if vertex < placed.graph.cards]
        along += max([before[card] for card in cards], default=0)
        deepest = max([depths[card] for card in cards], default=0)
        for card in cards:
            size, depth = placed.sizes[card], depths[card]
            begin = along + (deepest - depth) // 2
            boxes[card] = Box(placed.middles[card] - size // 2, begin, size, depth)
        along += deepest + channel.height
    return boxes


def _bends(placed: Middles, channels: Sequence[_Channel], boxes: Sequence[Box]) -> _Bends:
    """For each two that a bus joins: where it leaves the upper one, its track, where it meets the lower."""
    bends: _Bends = {}
    for row, channel in zip(placed.rows, channels, strict=True):
        end = max([boxes[card].along + boxes[card].depth for card in row if card < len(boxes)], default=0)
        for bus, track in zip(channel.buses, channel.tracks, strict=True):
            height = end + _BEFORE_TRACKS + channel.gap * max(track, 0)
            for top, above in zip(bus.tops, bus.above, strict=True):
                for bottom, below in zip(bus.bottoms, bus.below, strict=True):
                    bends[top, bottom] = (above, height, below)
    return bends


class _Lines:
    """The bends of edges. Those of a trunk are found once, for all edges that pass it."""

    def __init__(self, placed: Middles, bends: _Bends, boxes: Sequence[Box]) -> None:
        self._bends = bends
        self._boxes = boxes
        self._points: list[Point] = []
        self._begin = [0] * len(placed.graph.above)
        for trunk in placed.graph.trunks:
            for upper, lower in pairwise(trunk):
                self._begin[upper] = len(self._points)
                self._points.extend(_corners(bends[upper, lower]))
            self._begin[trunk[-1]] = len(self._points)

    def of(self, path: Path) -> tuple[Point, ...]:
        """An edge, from card to card."""
        source, target = self._boxes[path.source], self._boxes[path.target]
        first = self._bends[path.source, path.after_source]
        last = self._bends[path.before_target, path.target]
        begin, end = (first[0], source.along + source.depth), (last[2], target.along)
        if not path.turns:
            return (begin, *_corners(first), end)
        trunk = self._points[self._begin[path.turns[0]] : self._begin[path.turns[-1]]]
        return (begin, *_corners(first), *trunk, *_corners(last), end)


def _corners(bend: tuple[int, int, int]) -> tuple[Point, ...]:
    above, height, below = bend
    return () if above == below else ((above, height), (below, height))
