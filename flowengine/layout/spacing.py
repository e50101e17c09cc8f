"""Places on a line that keep their distances: as near to where they should be as these allow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import add, le, sub


def spaced(wanted: Sequence[float], weights: Sequence[float], distances: Sequence[float]) -> list[float]:
    """Places that miss what is wanted least, by weighted squares, and keep their distances.

    `distances[n]` lies between n and n + 1. Exact, by pooling of adjacent violators (isotonic regression:
    Barlow, Bartholomew, Bremner and Brunk 1972). Linear.
    """
    if all(map(le, distances, map(sub, wanted[1:], wanted))):
        return list(wanted)
    offsets = list(accumulate(distances, initial=0.0))
    blocks: list[tuple[float, float, float, int]] = []
    for place, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, moved, total, count = place - offset, (place - offset) * weight, weight, 1
        while blocks and blocks[-1][0] >= mean:
            _, before, heavy, more = blocks.pop()
            moved += before
            total += heavy
            count += more
            mean = moved / total
        blocks.append((mean, moved, total, count))
    means: list[float] = []
    for mean, _, _, count in blocks:
        means.extend([mean] * count)
    return list(map(add, means, offsets))
