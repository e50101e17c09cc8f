"""In which order each layer stands, so that few edges cross.

Depth-first at first, then sweeps by barycentre (Sugiyama, Tagawa and Toda 1981), of which the best order is
kept, then swaps of neighbours where the graph is small. All in fixed numbers, so that the same graph has the
same order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from flowengine.layout.layering import Layered

SWEEPS: Final = 3
"""Down and up again."""
SWEEPS_OF_MANY: Final = 2
"""Of a graph whose neighbours are not swapped: a third sweep takes away 1 to 2 crossings of 100."""
SWAPS_UP_TO: Final = 200
"""The most cards of a graph whose neighbours are swapped."""
SWAP_ROUNDS: Final = 4
_UNBOUNDED: Final = 1 << 60


def ordered_rows(graph: Layered) -> list[list[int]]:
    """The layers of a graph in their order."""
    first = best = rows = _depth_first(graph)
    if not crossings(graph, first, enough=1):
        return first
    fewest = _UNBOUNDED
    for _ in range(SWEEPS if graph.cards <= SWAPS_UP_TO else SWEEPS_OF_MANY):
        before = rows
        rows = _swept(graph.above, rows)
        rows = _swept(graph.below, rows[::-1])[::-1]
        found = crossings(graph, rows, enough=fewest)
        if found < fewest:
            best, fewest = rows, found
        if rows == before or not found:
            break
    # Counted last: it mostly has so many more that a few layers say so.
    if crossings(graph, first, enough=fewest + 1) <= fewest:
        best = first
    return _swapped(graph, best) if fewest and graph.cards <= SWAPS_UP_TO else best


def crossings(graph: Layered, rows: Sequence[Sequence[int]], enough: int = _UNBOUNDED) -> int:
    """How often edges cross, if each is a straight line from layer to layer. Not counted on from `enough`."""
    place = [0] * len(graph.above)
    all_below = graph.below
    total = 0
    for upper, lower in pairwise(rows):
        if len(upper) == 1 or len(lower) == 1:
            continue
        for number, vertex in enumerate(lower):
            place[vertex] = number
        ends: list[int] = []
        for vertex in upper:
            joined = all_below[vertex]
            count = len(joined)
            if count == 1:
                ends.append(place[joined[0]])
            elif count == 2:
                one, other = place[joined[0]], place[joined[1]]
                ends += (one, other) if one < other else (other, one)
            else:
                ends += sorted([place[other] for other in joined])
        total += _inversions(ends)
        if total >= enough:
            break
    return total


def _inversions(places: Sequence[int]) -> int:
    """The pairs of a place and a smaller one that comes later."""
    seen: list[int] = []
    total, most = 0, -1
    for count, place in enumerate(places):
        if place >= most:
            most = place
            seen.append(place)
        else:
            at = bisect_right(seen, place)
            total += count - at
            seen.insert(at, place)
    return total


def _depth_first(graph: Layered) -> list[list[int]]:
    layer = [0] * len(graph.above)
    for number, row in enumerate(graph.rows):
        for vertex in row:
            layer[vertex] = number
    rows: list[list[int]] = [[] for _ in graph.rows]
    seen = [False] * len(layer)
    all_below = graph.below
    waiting = [vertex for vertex in reversed(range(graph.cards)) if not graph.above[vertex]]
    while waiting:
        vertex = waiting.pop()
        if not seen[vertex]:
            seen[vertex] = True
            rows[layer[vertex]].append(vertex)
            waiting += all_below[vertex][::-1]
    return rows


def _swept(neighbours: Sequence[Sequence[int]], rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """The rows, each sorted by the mean places of neighbours in the row before it.

    Those that have none there keep their places.
    """
    swept: list[list[int]] = []
    place, mean = [0] * len(neighbours), [0.0] * len(neighbours)
    for row in rows:
        alone: list[int] = []
        for vertex in row:
            others = neighbours[vertex]
            count = len(others)
            if count == 1:
                mean[vertex] = place[others[0]]
            elif count == 2:
                mean[vertex] = (place[others[0]] + place[others[1]]) / 2
            elif count:
                mean[vertex] = sum([place[other] for other in others]) / count
            else:
                alone.append(vertex)
        joined = [vertex for vertex in row if neighbours[vertex]] if alone else row
        found = sorted(joined, key=mean.__getitem__)
        for vertex in alone:
            found.insert(row.index(vertex), vertex)
        for number, vertex in enumerate(found):
            place[vertex] = number
        swept.append(found)
    return swept


def _swapped(graph: Layered, rows: Sequence[Sequence[int]]) -> list[list[int]]:
    swapped = [list(row) for row in rows]
    place = [0] * len(graph.above)
    for row in swapped:
        for number, vertex in enumerate(row):
            place[vertex] = number
    for _ in range(SWAP_ROUNDS):
        if not sum([_swap_in(graph, row, place) for row in swapped]):
            break
    return swapped


def _swap_in(graph: Layered, row: list[int], place: list[int]) -> bool:
    """Swap neighbours whose edges then cross less. Whether any were."""
    changed = False
    for number in range(len(row) - 1):
        left, right = row[number], row[number + 1]
        gain = sum(
            _crossed(joined[left], joined[right], place) - _crossed(joined[right], joined[left], place)
            for joined in (graph.above, graph.below)
        )
        if gain > 0:
            row[number], row[number + 1] = right, left
            place[left], place[right] = place[right], place[left]
            changed = True
    return changed


def _crossed(left: Sequence[int], right: Sequence[int], place: Sequence[int]) -> int:
    """How often the edges of a left one cross those of its right neighbour."""
    ends = sorted([place[vertex] for vertex in right])
    return sum([bisect_left(ends, place[vertex]) for vertex in left])
