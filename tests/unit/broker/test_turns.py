"""Whose turn it is among the lines of a queue: shares, counted by entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest

from flowengine.broker.turn_reader import Beside, Turns

BESIDE = Beside("crowd", "high", "low")


def taken(turns: Turns, full: Sequence[str], entries: int, *, at_once: int = 1) -> Counter[str]:
    """How many entries are taken of each of these lines, all of which have more."""
    counted: Counter[str] = Counter()
    while counted.total() < entries:
        line = turns.next(full)
        turns.took(line, at_once)
        counted[line] += at_once
    return counted


@pytest.mark.proves("priority-shares")
@pytest.mark.parametrize(
    ("full", "shares"),
    [
        (("queue",), {"queue": 600}),
        (("low",), {"low": 600}),
        (("high",), {"high": 600}),
        (("queue", "low"), {"queue": 540, "low": 60}),
        (("high", "low"), {"high": 540, "low": 60}),
        (("high", "queue"), {"high": 400, "queue": 200}),
        (("queue", "crowd"), {"queue": 300, "crowd": 300}),
        (("high", "queue", "low"), {"high": 360, "queue": 180, "low": 60}),
        (("high", "queue", "crowd", "low"), {"high": 360, "queue": 90, "crowd": 90, "low": 60}),
    ],
)
@pytest.mark.parametrize("at_once", [1, 4])
def test_each_line_gets_its_share_where_there_is_more_of_all(
    full: Sequence[str], shares: Mapping[str, int], at_once: int
) -> None:
    """One in ten is of low priority, a third of the rest of normal, half of that of the crowd."""
    counted = taken(Turns("queue", BESIDE), full, 600, at_once=at_once)
    assert set(counted) == set(shares)
    for line, share in shares.items():
        assert abs(counted[line] - share) <= 10 * at_once


@pytest.mark.proves("priority-shares")
def test_low_waits_for_no_more_than_nine_others() -> None:
    """However long others had all turns before: nothing is owed to what had nothing."""
    turns = Turns("queue", BESIDE)
    assert taken(turns, ["high"], 500) == {"high": 500}
    order = []
    for _ in range(100):
        line = turns.next(["high", "low"])
        turns.took(line, 1)
        order.append(line)
    places = [at for at, line in enumerate(order) if line == "low"]
    assert [later - before for before, later in pairwise(places)] == [10] * 9
    assert "high" in order[:2]


def test_what_was_read_without_haste_counts_for_nobody() -> None:
    """Once there is more than is read, all begin alike."""
    turns = Turns("queue", BESIDE)
    taken(turns, ["queue", "low"], 5)
    turns.calm()
    for _ in range(1000):
        turns.took("queue", 1)
    assert taken(turns, ["queue", "low"], 100)["low"] in (10, 11)
