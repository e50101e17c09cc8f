"""The lines between two layers: one bus a source; sources that lead nowhere else share one into their
target.

So sixteen edges are one line with sixteen stubs. A bus has stubs up and down, and between them one line
across, its track, unless it is straight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from flowengine.layout.coordinates import Middles
from flowengine.layout.spacing import spaced

PORT_GAP: Final = 16
_SNAP: Final = 24
_STRAIGHT_WEIGHT: Final = 100.0


_Ends: TypeAlias = tuple[Sequence[int], tuple[int, ...]]
Bus: TypeAlias = tuple[Sequence[int], tuple[int, ...], tuple[int, ...], tuple[int, ...], int, int]
"""Lines from `tops` to `bottoms`, one of which is a single one; `above` and `below`, where it touches each;
`first` and `last`, where its line across begins and ends: one place, if it is straight."""


def buses_below(placed: Middles, row: Sequence[int]) -> list[Bus]:
    """The buses that lead down from a row, from left to right.

    Without those between two turning points, and nothing else, that are straight: nothing has to make room
    for them.
    """
    ends = _ends(placed, row)
    coming = _coming(placed, ends)
    ports = _ports(placed, ends, coming)
    middles, halves, vertices = placed.middles, placed.halves, len(placed.middles)
    found: list[Bus] = []
    for number, (tops, bottoms) in enumerate(ends):
        top, bottom = tops[0], bottoms[0]
        key = number * vertices
        if len(bottoms) > 1:
            below = tuple([ports.get(key + vertex, middles[vertex]) for vertex in bottoms])
            port = _snapped(middles[top], halves[top], below)
            found.append((tops, bottoms, (port,), below, min(port, *below), max(port, *below)))
            continue
        port, half = ports.get(key + bottom, middles[bottom]), 0 if bottom in coming else halves[bottom]
        if len(tops) > 1:
            above = tuple([middles[vertex] for vertex in tops])
            port = _snapped(port, half, above)
            found.append((tops, bottoms, above, (port,), min(port, above[0]), max(port, above[-1])))
            continue
        begin = middles[top]
        if begin != port and abs(begin - port) <= half + halves[top]:
            # There is a line on which it touches both.
            first, last = max(begin - halves[top], port - half), min(begin + halves[top], port + half)
            begin = port = (first + last) // 2
        first, last = (begin, port) if begin < port else (port, begin)
        found.append((tops, bottoms, (begin,), (port,), first, last))
    return found


def _ends(placed: Middles, row: Sequence[int]) -> list[_Ends]:
    found: list[_Ends] = []
    shared: dict[int, list[int]] = {}
    graph, middles = placed.graph, placed.middles
    all_above, all_below, cards = graph.above, graph.below, graph.cards
    for vertex in row:
        below = all_below[vertex]
        if len(below) != 1:
            if below:
                found.append(((vertex,), below))
            continue
        bottom = below[0]
        if len(all_above[bottom]) == 1:
            if vertex < cards or bottom < cards or middles[vertex] != middles[bottom]:
                found.append(((vertex,), below))
        elif bottom in shared:
            shared[bottom].append(vertex)
        else:
            shared[bottom] = tops = [vertex]
            found.append((tops, below))
    return found


def _snapped(middle: int, half: int, others: Sequence[int]) -> int:
    """Where an edge touches a card: straight below or above another end, if one is nearly so."""
    reach = min(half, _SNAP)
    near = [(abs(other - middle), other) for other in others if -reach <= other - middle <= reach]
    return min(near)[1] if near else middle


def _coming(placed: Middles, ends: Sequence[_Ends]) -> dict[int, list[int]]:
    """The buses that lead to each card to which several lead."""
    all_above, cards = placed.graph.above, placed.graph.cards
    coming: dict[int, list[int]] = {}
    for number, (_, bottoms) in enumerate(ends):
        for bottom in bottoms:
            if bottom < cards and len(all_above[bottom]) > 1:
                coming.setdefault(bottom, []).append(number)
    return {bottom: numbers for bottom, numbers in coming.items() if len(numbers) > 1}


def _ports(placed: Middles, ends: Sequence[_Ends], coming: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Where these touch such a card: side by side, in the order in which they come.

    A bus and a card are one number. Others touch what they lead to in its middle.
    """
    middles, vertices = placed.middles, len(placed.middles)
    ports: dict[int, int] = {}
    for bottom, numbers in coming.items():
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
        if not has_straight:
            for place, (_, number, _) in enumerate(order):
                ports[number * vertices + bottom] = round(first + gap * place)
            continue
        found = [first + gap * place for place in range(last + 1)]
        weights = [1.0] * len(order)
        for place, (begin, _, straight) in enumerate(order):
            if straight:
                found[place], weights[place] = begin, _STRAIGHT_WEIGHT
        found = spaced(found, weights, [gap] * last)
        least, most = middle - half, middle + half
        for (_, number, _), wanted in zip(order, found, strict=True):
            port = round(wanted)
            ports[number * vertices + bottom] = least if port < least else most if port > most else port
    return ports
