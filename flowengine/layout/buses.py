"""The lines between two layers: one bus a source; sources that lead nowhere else share one into their
target.

So sixteen edges are one line with sixteen stubs. A bus has stubs up and down, and between them one line
across, its track, unless it is straight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from flowengine.layout.coordinates import Middles
from flowengine.layout.spacing import spaced

PORT_GAP: Final = 16
_SNAP: Final = 24
_STRAIGHT_WEIGHT: Final = 100.0
_INSET: Final = 12
"""How far from a card's corner an edge may touch it."""


class Bus(NamedTuple):
    """Lines from `tops` to `bottoms`; one of the two is a single one.

    `above` and `below`: where it touches each. `first` and `last`: where its line across begins and ends.
    """

    tops: tuple[int, ...]
    bottoms: tuple[int, ...]
    above: tuple[int, ...]
    below: tuple[int, ...]
    first: int
    last: int

    @property
    def is_straight(self) -> bool:
        """Whether it needs no track."""
        return self.first == self.last


def buses_below(placed: Middles, row: Sequence[int]) -> list[Bus]:
    """The buses that lead down from a row, from left to right."""
    ends = _ends(placed, row)
    ports = _Ports(placed, ends)
    return [_touching(placed, ports, tops, bottoms, number) for number, (tops, bottoms) in enumerate(ends)]


def _ends(placed: Middles, row: Sequence[int]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    found: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    shared: dict[int, list[int]] = {}
    for vertex in row:
        below = placed.graph.below[vertex]
        if len(below) == 1:
            shared.setdefault(below[0], []).append(vertex)
        elif below:
            found.append(((vertex,), below))
    found.extend((tuple(tops), (bottom,)) for bottom, tops in shared.items())
    return sorted(found, key=lambda ends: placed.middles[ends[0][0]])


def _touching(
    placed: Middles, ports: _Ports, tops: tuple[int, ...], bottoms: tuple[int, ...], number: int
) -> Bus:
    above = tuple([placed.middles[vertex] for vertex in tops])
    below = tuple([ports.of(number, vertex) for vertex in bottoms])
    if len(tops) == len(bottoms) == 1 and above != below:
        reach = _reach(placed, tops[0])
        alone = ports.is_alone(bottoms[0])
        line = _common(reach, _reach(placed, bottoms[0]) if alone else range(below[0], below[0] + 1))
        if line is not None:
            above = below = (line,)
    elif len(bottoms) > 1:
        above = (_snapped(placed, tops[0], above[0], below),)
    elif len(tops) > 1 and ports.is_alone(bottoms[0]):
        below = (_snapped(placed, bottoms[0], below[0], above),)
    return Bus(tops, bottoms, above, below, min(*above, *below), max(*above, *below))


def _snapped(placed: Middles, vertex: int, port: int, others: Sequence[int]) -> int:
    """Where an edge touches a card: straight below or above another end, if one is nearly so."""
    nearest = min(others, key=lambda other: (abs(other - port), other))
    is_near = abs(nearest - port) <= _SNAP and nearest in _reach(placed, vertex)
    return nearest if is_near else port


def _reach(placed: Middles, vertex: int) -> range:
    """Where an edge may touch it."""
    middle = placed.middles[vertex]
    size = placed.sizes[vertex] if vertex < placed.graph.cards else 0
    half = max(size // 2 - _INSET, 0)
    return range(middle - half, middle + half + 1)


def _common(left: range, right: range) -> int | None:
    first, last = max(left.start, right.start), min(left.stop, right.stop) - 1
    return (first + last) // 2 if first <= last else None


class _Ports:
    """Where buses touch what they lead to: side by side, in the order in which they come."""

    def __init__(self, placed: Middles, ends: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> None:
        self._coming: dict[int, list[int]] = {}
        for number, (_, bottoms) in enumerate(ends):
            for bottom in bottoms:
                self._coming.setdefault(bottom, []).append(number)
        self._at: dict[tuple[int, int], int] = {}
        for bottom, numbers in self._coming.items():
            if len(numbers) == 1 or bottom >= placed.graph.cards:
                self._at.update({(number, bottom): placed.middles[bottom] for number in numbers})
            else:
                self._spread(placed, ends, bottom, numbers)

    def of(self, number: int, bottom: int) -> int:
        """Where this bus touches it."""
        return self._at[number, bottom]

    def is_alone(self, bottom: int) -> bool:
        """Whether one bus only leads to it."""
        return len(self._coming[bottom]) == 1

    def _spread(
        self,
        placed: Middles,
        ends: Sequence[tuple[tuple[int, ...], tuple[int, ...]]],
        bottom: int,
        numbers: Sequence[int],
    ) -> None:
        middle, reach = placed.middles[bottom], _reach(placed, bottom)
        coming = {
            number: sum([placed.middles[top] for top in ends[number][0]]) / len(ends[number][0])
            for number in numbers
        }
        order = sorted(numbers, key=coming.__getitem__)
        gap = min(PORT_GAP, (len(reach) - 1) // (len(order) - 1))
        wanted: list[float] = []
        weights: list[float] = []
        for place, number in enumerate(order):
            tops, bottoms = ends[number]
            is_straight = len(tops) == len(bottoms) == 1 and round(coming[number]) in reach
            wanted.append(coming[number] if is_straight else middle + gap * (place - (len(order) - 1) / 2))
            weights.append(_STRAIGHT_WEIGHT if is_straight else 1.0)
        found = spaced(wanted, weights, [gap] * (len(order) - 1))
        for number, port in zip(order, found, strict=True):
            self._at[number, bottom] = min(max(round(port), reach.start), reach.stop - 1)
