"""In which order each layer stands, so that few edges cross.

Depth-first at first, then sweeps by barycentre (Sugiyama, Tagawa and Toda 1981), of which the best order is
kept, then swaps of neighbours where the graph is small. All in fixed numbers, so that the same graph has the
same order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from flowengine.layout.layering import Layered

SWEEPS: Final = 3
"""Down and up again."""
SWAPS_UP_TO: Final = 200
"""The most cards of a graph whose neighbours are swapped."""
SWAP_ROUNDS: Final = 4


def ordered_rows(graph: Layered) -> list[list[int]]:
    """The layers of a graph in their order."""
    rows = _depth_first(graph)
    best, fewest = rows, crossings(graph, rows)
    for _ in range(SWEEPS if fewest else 0):
        before = rows
        rows = _swept(graph, _swept(graph, rows, down=True), down=False)
        found = crossings(graph, rows)
        if found < fewest:
            best, fewest = rows, found
        if rows == before or not found:
            break
    return _swapped(graph, best) if fewest and graph.cards <= SWAPS_UP_TO else best


def crossings(graph: Layered, rows: Sequence[Sequence[int]]) -> int:
    """How often edges cross, if each is a straight line from layer to layer."""
    total = 0
    for upper, lower in pairwise(rows):
        at = {vertex: place for place, vertex in enumerate(lower)}
        total += _inversions([sorted(map(at.__getitem__, graph.below[vertex])) for vertex in upper])
    return total


def _inversions(places: Sequence[Sequence[int]]) -> int:
    """The pairs of a place and a smaller one that comes in a later list."""
    total, seen = 0, list[int]()
    for found in places:
        for place in found:
            total += len(seen) - bisect_right(seen, place)
        for place in found:
            insort(seen, place)
    return total


def _depth_first(graph: Layered) -> list[list[int]]:
    layer = {vertex: number for number, row in enumerate(graph.rows) for vertex in row}
    rows: list[list[int]] = [[] for _ in graph.rows]
    seen = set[int]()
    roots = [vertex for vertex in range(graph.cards) if not graph.above[vertex]]
    waiting = roots[::-1]
    while waiting:
        vertex = waiting.pop()
        if vertex in seen:
            continue
        seen.add(vertex)
        rows[layer[vertex]].append(vertex)
        waiting.extend(reversed(graph.below[vertex]))
    return rows


def _swept(graph: Layered, rows: Sequence[Sequence[int]], *, down: bool) -> list[list[int]]:
    neighbours = graph.above if down else graph.below
    swept = [list(row) for row in rows]
    place = [0] * len(graph.above)
    for row in swept if down else reversed(swept):
        mean = {vertex: _mean(neighbours[vertex], place) for vertex in row}
        _sort_joined(row, mean)
        for number, vertex in enumerate(row):
            place[vertex] = number
    return swept


def _mean(others: Sequence[int], place: Sequence[int]) -> float:
    """The middle of these, -1 of none."""
    if len(others) == 1:
        return place[others[0]]
    return sum([place[other] for other in others]) / len(others) if others else -1.0


def _sort_joined(row: list[int], mean: dict[int, float]) -> None:
    """Sort those that have neighbours by their mean; the others keep their places."""
    joined = sorted([vertex for vertex in row if mean[vertex] >= 0], key=mean.__getitem__)
    if len(joined) == len(row):
        row[:] = joined
        return
    following = iter(joined)
    row[:] = [vertex if mean[vertex] < 0 else next(following) for vertex in row]


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
