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
    bent = [number for number, bus in enumerate(buses) if not bus.is_straight]
    found = (_compared if len(bent) <= COMPARED_UP_TO else _packed)([buses[number] for number in bent])
    tracks = [-1] * len(buses)
    for number, track in zip(bent, found, strict=True):
        tracks[number] = track
    return tracks, max(found, default=-1) + 1


def _packed(buses: Sequence[Bus]) -> list[int]:
    """The fewest tracks, from left to right."""
    tracks = [0] * len(buses)
    ends: list[int] = []
    for number in sorted(range(len(buses)), key=lambda number: buses[number].first):
        tracks[number] = _first_free(ends, buses[number])
    return tracks


def _compared(buses: Sequence[Bus]) -> list[int]:
    """Tracks by how many lines cross. Each pair is looked at once."""
    excess: list[dict[int, int]] = [{} for _ in buses]
    for place, left in enumerate(buses):
        for other in range(place + 1, len(buses)):
            right = buses[other]
            if left.first <= right.last + _NEAR and right.first <= left.last + _NEAR:
                more = _excess(left, right)
                excess[place][other], excess[other][place] = more, -more
    order = sorted(
        range(len(buses)), key=lambda number: (sum(excess[number].values()), _leads_to(buses[number]))
    )
    tracks = [0] * len(buses)
    placed: list[int] = []
    for number in _improved(excess, order):
        under = [tracks[other] for other in placed if other in excess[number]]
        tracks[number] = max(under, default=-1) + 1
        placed.append(number)
    return tracks


def _improved(excess: Sequence[Mapping[int, int]], order: list[int]) -> list[int]:
    """Put each bus where it costs least among the others, once from above."""
    for number in list(order):
        order.remove(number)
        mine = excess[number]
        best, least, cost = 0, 0, 0
        for place, other in enumerate(order):
            cost -= mine.get(other, 0)
            if cost < least:
                best, least = place + 1, cost
        order.insert(best, number)
    return order


def _first_free(ends: list[int], bus: Bus) -> int:
    """The first track whose last bus has ended before this one (buses come from left to right)."""
    for track, end in enumerate(ends):
        if end + _NEAR < bus.first:
            ends[track] = bus.last
            return track
    ends.append(bus.last)
    return len(ends) - 1


def _leads_to(bus: Bus) -> int:
    """To the right the furthest first, to the left the nearest: then those side by side do not cross."""
    middle = bus.first + bus.last
    return -middle if sum(bus.below) * len(bus.above) > sum(bus.above) * len(bus.below) else middle


def _excess(upper: Bus, lower: Bus) -> int:
    """How much more lines cross with the track of the first above that of the second than the other way."""
    more = 0
    for x in upper.below:
        more += lower.first <= x <= lower.last
    for x in lower.above:
        more += upper.first <= x <= upper.last
    for x in lower.below:
        more -= upper.first <= x <= upper.last
    for x in upper.above:
        more -= lower.first <= x <= lower.last
    return more + _COVERED * (_near(upper.below, lower.above) - _near(lower.below, upper.above))


def _near(ends: Sequence[int], begins: Sequence[int]) -> int:
    """How many of the ones would lie on one of the others, which come from left to right."""
    if len(begins) == 1:
        return sum([abs(x - begins[0]) < _NEAR for x in ends])
    found = 0
    for x in ends:
        at = bisect_right(begins, x - _NEAR)
        found += at < len(begins) and begins[at] < x + _NEAR
    return found
