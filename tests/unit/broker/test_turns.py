"""Whose turn it is among the lines of a queue: shares, counted by entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from flowengine.broker.streams.sign_of_life import SignOfLife
from flowengine.broker.timing import TIMING
from flowengine.broker.turn_reader import Beside, TurnReader, Turns

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


class Lines:
    """Stands for the consumer group: lines with entries, and the reads of them."""

    def __init__(self, **entries: int) -> None:
        self.left = {"queue": 0, "crowd": 0, "high": 0, "low": 0, **entries}
        self.reads: list[tuple[tuple[str, ...], int | None]] = []
        self.handed_back: list[str] = []

    def read_lines(self, lines: Sequence[str], count: int, block_ms: int | None) -> dict[str, list[object]]:
        """Up to so many of each."""
        self.reads.append((tuple(lines), block_ms))
        taken = {line: min(count, self.left[line]) for line in lines}
        self.left = {line: left - taken.get(line, 0) for line, left in self.left.items()}
        return {line: [(b"1-0", {})] * number for line, number in taken.items() if number}

    def hand_back(self, line: str, counts: object, *, lapses_in_ms: int) -> int:
        """Noted."""
        self.handed_back.append(line)
        return 1

    def sign(self, line: str) -> None:
        """Of no interest here."""


def reader(lines: Lines, *, exact: bool = False) -> TurnReader:
    """A reader of these."""
    group: Any = lines
    return TurnReader(group, "queue", BESIDE, SignOfLife(group, TIMING), TIMING, exact=exact)


@pytest.mark.parametrize("beside", ["crowd", "high"])
def test_nothing_is_waited_for_in_one_line_while_another_may_have_more(beside: str) -> None:
    """A chain's hop in the queue does not keep what lies in the line beside it waiting."""
    lines = Lines(queue=1, **{beside: 5})
    turns = reader(lines)
    assert [sum(len(entries) for _, entries in turns.read(1, 1000)) for _ in range(5)] == [2, 1, 1, 1, 1]
    assert all(block is None or set(read) == {"queue", "crowd", "high", "low"} for read, block in lines.reads)


def test_what_comes_of_low_priority_begins_no_sooner_for_being_little() -> None:
    """A line of it that is shorter than a read takes turns like a long one."""
    lines = Lines(queue=10_000)
    turns = reader(lines)
    begun: Counter[str] = Counter()
    for _ in range(200):
        lines.left["low"] += 7
        for line, entries in turns.read(8, 1000):
            begun[line] += len(entries)
    assert begun["low"] < 0.15 * begun.total()


def test_where_there_is_room_for_one_only_one_is_read() -> None:
    """Nothing is handed back that was read in vain."""
    lines = Lines(queue=3, crowd=3, high=3, low=3)
    turns = reader(lines, exact=True)
    for _ in range(12):
        assert sum(len(entries) for _, entries in turns.read(1, 1000)) == 1
    assert (lines.handed_back, sum(lines.left.values())) == ([], 0)
