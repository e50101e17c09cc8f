"""On which height each bus between two layers runs across: buses that overlap run on different ones.

Of two that overlap, that one is above with which fewer lines cross. Lines that would cover each other cost
more than any crossing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final

from flowengine.layout.buses import Bus

COMPARED_UP_TO: Final = 40
"""The most buses of a channel that are compared with each other; more are ordered by where they lead."""
_COVERED: Final = 100
_NEAR: Final = 5
"""Lines nearer than this look like one."""


def tracks_of(buses: Sequence[Bus]) -> tuple[list[int], int]:
    """For each bus its track, counted from above (straight ones have none: -1), and how many there are."""
    bent = [number for number, (_, _, _, _, first, last) in enumerate(buses) if first != last]
    if not bent:
        return [-1] * len(buses), 0
    found = (_compared if len(bent) <= COMPARED_UP_TO else _packed)([buses[number] for number in bent])
    tracks = [-1] * len(buses)
    for number, track in zip(bent, found, strict=True):
        tracks[number] = track
    return tracks, max(found) + 1


def _packed(buses: Sequence[Bus]) -> list[int]:
    """The fewest tracks, from left to right: each on the first one whose last bus has ended before."""
    tracks = [0] * len(buses)
    ends: list[int] = []
    firsts = [first for _, _, _, _, first, _ in buses]
    for number in sorted(range(len(buses)), key=firsts.__getitem__):
        _, _, _, _, first, last = buses[number]
        free_before = first - _NEAR
        for track, end in enumerate(ends):
            if end < free_before:
                ends[track] = last
                tracks[number] = track
                break
        else:
            tracks[number] = len(ends)
            ends.append(last)
    return tracks


def _compared(buses: Sequence[Bus]) -> list[int]:
    """Tracks by how many lines cross. Each pair that overlaps is looked at once."""
    excess: list[dict[int, int]] = [{} for _ in buses]
    firsts = [first for _, _, _, _, first, _ in buses]
    from_left = sorted(range(len(buses)), key=firsts.__getitem__)
    for place, number in enumerate(from_left):
        left, mine = buses[number], excess[number]
        end = left[-1] + _NEAR
        for other in from_left[place + 1 :]:
            if firsts[other] > end:
                break
            mine[other] = more = _excess(left, buses[other])
            excess[other][number] = -more
    order = sorted(
        range(len(buses)), key=lambda number: (sum(excess[number].values()), _leads_to(buses[number]))
    )
    tracks = [-1] * len(buses)
    for number in _improved(excess, order):
        tracks[number] = max([tracks[other] for other in excess[number]], default=-1) + 1
    return tracks


def _improved(excess: Sequence[Mapping[int, int]], order: list[int]) -> list[int]:
    """Put each bus where it costs least among the others, once from above."""
    for number in list(order):
        order.remove(number)
        mine = excess[number]
        best, least, cost = 0, 0, 0
        for place, other in enumerate(order):
            if other in mine:
                cost -= mine[other]
                if cost < least:
                    best, least = place + 1, cost
        order.insert(best, number)
    return order


def _leads_to(bus: Bus) -> int:
    """To the right the furthest first, to the left the nearest: then those side by side do not cross."""
    _, _, above, below, first, last = bus
    middle = first + last
    return -middle if sum(below) * len(above) > sum(above) * len(below) else middle


def _excess(upper: Bus, lower: Bus) -> int:
    """How much more lines cross with the track of the first above that of the second than the other way."""
    _, _, above, below, first, last = upper
    _, _, other_above, other_below, other_first, other_last = lower
    more = 0
    if len(above) == len(other_above) == 1:
        begin, other_begin = above[0], other_above[0]
        for x in below:
            if other_first <= x <= other_last:
                more += 1
            if -_NEAR < x - other_begin < _NEAR:
                more += _COVERED
        for x in other_below:
            if first <= x <= last:
                more -= 1
            if -_NEAR < x - begin < _NEAR:
                more -= _COVERED
        return more + (first <= other_begin <= last) - (other_first <= begin <= other_last)
    for x in below:
        if other_first <= x <= other_last:
            more += 1
    for x in other_above:
        if first <= x <= last:
            more += 1
    for x in other_below:
        if first <= x <= last:
            more -= 1
    for x in above:
        if other_first <= x <= other_last:
            more -= 1
    return more + _COVERED * (_near(below, other_above) - _near(other_below, above))


def _near(ends: Sequence[int], begins: Sequence[int]) -> int:
    """How many of the ones would lie on one of the others, which come from left to right."""
    found = 0
    for x in ends:
        at = bisect_right(begins, x - _NEAR)
        if at < len(begins) and begins[at] < x + _NEAR:
            found += 1
    return found
