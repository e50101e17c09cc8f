"""Places on a line that keep their distances: as near to where they should be as these allow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain, repeat
from operator import add, le, sub


def spaced(wanted: Sequence[float], weights: Sequence[float], distances: Sequence[float]) -> list[float]:
    """Places that miss what is wanted least, by weighted squares, and keep their distances.

    `distances[n]` lies between n and n + 1. Exact, by pooling of adjacent violators (isotonic regression:
    Barlow, Bartholomew, Bremner and Brunk 1972). Linear.
    """
    return spaced_from(wanted, weights, list(accumulate(distances, initial=0.0)))


def spaced_from(wanted: Sequence[float], weights: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The same, for distances that are given as each place's distance from the first."""
    targets = list(map(sub, wanted, offsets))
    if all(map(le, targets, targets[1:])):
        return list(wanted)
    means: list[float] = []
    totals: list[float] = []
    counts: list[int] = []
    mean, total, count = targets[0], weights[0], 1
    for target, weight in zip(targets[1:], weights[1:], strict=True):
        if mean < target:
            means.append(mean)
            totals.append(total)
            counts.append(count)
            mean, total, count = target, weight, 1
            continue
        both = total + weight
        mean = (mean * total + target * weight) / both
        total = both
        count += 1
        while means and means[-1] >= mean:
            heavy = totals.pop()
            both = heavy + total
            mean = (means.pop() * heavy + mean * total) / both
            total = both
            count += counts.pop()
    means.append(mean)
    counts.append(count)
    return list(map(add, chain.from_iterable(map(repeat, means, counts)), offsets))
