"""The lines between two layers: one bus a source; sources that lead nowhere else share one into their
target.

So sixteen edges are one line with sixteen stubs. A bus has stubs up and down, and between them one line
across, its track, unless it is straight.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, TypeAlias

from flowengine.layout.coordinates import Middles
from flowengine.layout.spacing import spaced

PORT_GAP: Final = 16
_SNAP: Final = 24
_STRAIGHT_WEIGHT: Final = 100.0


_Ends: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
Bus: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], int, int]
"""Lines from `tops` to `bottoms`, one of which is a single one; `above` and `below`, where it touches each;
`first` and `last`, where its line across begins and ends: one place, if it is straight."""


def buses_below(placed: Middles, row: Sequence[int]) -> list[Bus]:
    """The buses that lead down from a row, from left to right.

    Without those between two turning points, and nothing else, that are straight: nothing has to make room
    for them.
    """
    ends = _ends(placed, row)
    ports = _Ports(placed, ends)
    cards, middles = placed.graph.cards, placed.middles
    found: list[Bus] = []
    for number, (tops, bottoms) in enumerate(ends):
        if len(tops) != 1 or len(bottoms) != 1:
            found.append(_joining(placed, ports, tops, bottoms, number))
        elif tops[0] < cards or bottoms[0] < cards:
            found.append(_single(placed, ports, tops, bottoms, number))
        else:
            above, below = middles[tops[0]], middles[bottoms[0]]
            first, last = (above, below) if above < below else (below, above)
            found.append((tops, bottoms, (above,), (below,), first, last))
    return found


def _ends(placed: Middles, row: Sequence[int]) -> list[_Ends]:
    found: list[_Ends] = []
    shared: dict[int, list[int]] = {}
    all_below = placed.graph.below
    for vertex in row:
        below = all_below[vertex]
        if len(below) == 1:
            shared.setdefault(below[0], []).append(vertex)
        elif below:
            found.append(((vertex,), below))
    middles, cards = placed.middles, placed.graph.cards
    for bottom, tops in shared.items():
        top = tops[0]
        if bottom < cards or top < cards or len(tops) > 1 or middles[top] != middles[bottom]:
            found.append((tuple(tops), (bottom,)))
    return found if len(found) < 2 else sorted(found, key=lambda ends: middles[ends[0][0]])


def _single(placed: Middles, ports: _Ports, tops: tuple[int, ...], bottoms: tuple[int, ...], at: int) -> Bus:
    """From one to one: straight, if there is a line on which it touches both."""
    top, bottom = tops[0], bottoms[0]
    above, below = placed.middles[top], ports.on(at, bottom)
    if above != below:
        halves = placed.halves
        upper, lower = halves[top], halves[bottom] if ports.is_alone(bottom) else 0
        first, last = max(above - upper, below - lower), min(above + upper, below + lower)
        if first > last:
            return tops, bottoms, (above,), (below,), min(above, below), max(above, below)
        above = (first + last) // 2
    return tops, bottoms, (above,), (above,), above, above


def _joining(placed: Middles, ports: _Ports, tops: tuple[int, ...], bottoms: tuple[int, ...], at: int) -> Bus:
    """From one to several, or from several to one."""
    middles = placed.middles
    above, below = tuple([middles[vertex] for vertex in tops]), ports.of(at, bottoms)
    if len(tops) == 1:
        above = (_snapped(placed, tops[0], above[0], below),)
    elif ports.is_alone(bottoms[0]):
        below = (_snapped(placed, bottoms[0], below[0], above),)
    touched = above + below
    return tops, bottoms, above, below, min(touched), max(touched)


def _snapped(placed: Middles, vertex: int, port: int, others: Sequence[int]) -> int:
    """Where an edge touches a card: straight below or above another end, if one is nearly so."""
    if port in others:
        return port
    near = [(abs(other - port), other) for other in others if -_SNAP <= other - port <= _SNAP]
    if not near:
        return port
    _, nearest = min(near)
    return nearest if abs(nearest - placed.middles[vertex]) <= placed.halves[vertex] else port


class _Ports:
    """Where buses touch what they lead to: side by side, in the order in which they come."""

    def __init__(self, placed: Middles, ends: Sequence[_Ends]) -> None:
        self._middles = placed.middles
        self._coming: defaultdict[int, list[int]] = defaultdict(list)
        """What leads to each card. Turning points are touched in their middle."""
        cards, coming = placed.graph.cards, self._coming
        for number, (_, bottoms) in enumerate(ends):
            for bottom in bottoms:
                if bottom < cards:
                    coming[bottom].append(number)
        self._beside: dict[int, dict[int, int]] = {}
        """For each bus those that others lead to as well, and where it touches these."""
        for bottom, numbers in coming.items():
            if len(numbers) > 1:
                self._spread(placed, ends, bottom, numbers)

    def of(self, number: int, bottoms: tuple[int, ...]) -> tuple[int, ...]:
        """Where this bus touches them."""
        middles, beside = self._middles, self._beside.get(number)
        if beside:
            return tuple([beside.get(bottom, middles[bottom]) for bottom in bottoms])
        return tuple([middles[bottom] for bottom in bottoms])

    def on(self, number: int, bottom: int) -> int:
        """Where this bus touches one of them."""
        beside = self._beside.get(number)
        return beside[bottom] if beside and bottom in beside else self._middles[bottom]

    def is_alone(self, bottom: int) -> bool:
        """Whether one bus only leads to this card."""
        return len(self._coming[bottom]) == 1

    def _spread(self, placed: Middles, ends: Sequence[_Ends], bottom: int, numbers: Sequence[int]) -> None:
        middles = placed.middles
        middle, half = middles[bottom], placed.halves[bottom]
        order: list[tuple[float, int, bool]] = []
        has_straight = False
        for number in numbers:
            tops, bottoms = ends[number]
            if len(tops) > 1:
                order.append((sum([middles[top] for top in tops]) / len(tops), number, False))
                continue
            above = middles[tops[0]]
            straight = len(bottoms) == 1 and -half <= above - middle <= half
            has_straight = has_straight or straight
            order.append((above, number, straight))
        order.sort()
        last = len(order) - 1
        gap = min(PORT_GAP, 2 * half // last)
        first = middle - gap * last / 2
        found = [first + gap * place for place in range(last + 1)]
        if has_straight:
            weights = [1.0] * len(order)
            for place, (coming, _, straight) in enumerate(order):
                if straight:
                    found[place], weights[place] = coming, _STRAIGHT_WEIGHT
            found = spaced(found, weights, [gap] * last)
        least, most = middle - half, middle + half
        for (_, number, _), wanted in zip(order, found, strict=True):
            port = round(wanted)
            touched = least if port < least else most if port > most else port
            self._beside.setdefault(number, {})[bottom] = touched
