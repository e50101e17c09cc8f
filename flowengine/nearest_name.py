"""Which known name somebody meant who wrote another one. Pure.

A name is proposed only if it is really close: the same but for capitals, `-` and `_`, or with one slip of the
hand in every four characters, three at most. A wrong proposal costs more than none, because it sends people
to a field that has nothing to do with what they want.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

COMPARED_CHARS: Final = 64
"""Longer names are compared by their beginnings."""

_CHARS_A_SLIP: Final = 4
_MOST_SLIPS: Final = 3
_SHORTEST: Final = 3
"""Of names with fewer characters, nobody can say which one was meant."""


def nearest_name(word: str, known: Iterable[str]) -> str | None:
    """The known name that is closest to `word`, the first of several; None where none is close.

    Takes time in proportion to the length of each name that is about as long.
    """
    bare = _bare(word)
    best: tuple[int, str] | None = None
    for name in known:
        other = _bare(name)
        allowed = _allowed(bare, other) if best is None else min(best[0] - 1, _allowed(bare, other))
        found = _slips(bare, other, allowed)
        if found is not None:
            best = found, name
            if not found:
                break
    return None if best is None else best[1]


def _bare(name: str) -> str:
    return name[:COMPARED_CHARS].lower().replace("-", "").replace("_", "")


def _allowed(one: str, other: str) -> int:
    longest = max(len(one), len(other))
    return 0 if longest < _SHORTEST else min(max(1, longest // _CHARS_A_SLIP), _MOST_SLIPS)


def _slips(one: str, other: str, most: int) -> int | None:
    """How many slips lead from one to the other, or None for more than `most`.

    A slip is a character too many, missing, wrong, or swapped with its neighbour (optimal string alignment).
    """
    if one == other:
        return 0
    if most < 1 or abs(len(one) - len(other)) > most:
        return None
    far = most + 1
    before: list[int] = []
    row = [min(place, far) for place in range(len(other) + 1)]
    for at, character in enumerate(one, start=1):
        following = [far] * (len(other) + 1)
        following[0] = min(at, far)
        for place in range(max(1, at - most), min(len(other), at + most) + 1):
            letter = other[place - 1]
            cost = min(row[place] + 1, following[place - 1] + 1, row[place - 1] + (character != letter))
            if at > 1 and place > 1 and character == other[place - 2] and one[at - 2] == letter:
                cost = min(cost, before[place - 2] + 1)
            following[place] = cost
        if min(following) > most:
            return None
        before, row = row, following
    return row[-1] if row[-1] <= most else None
