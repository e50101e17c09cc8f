"""Suspects: one alone first, more as they end well, and never so that innocents come to the limit."""

from __future__ import annotations

from flowengine.broker.delivery import Entry
from flowengine.broker.leases.suspects import FORGOTTEN_AFTER_S, Suspects


class Clock:
    """The test's."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def entry(number: int) -> Entry:
    """One that was delivered twice before."""
    return Entry(b"%d-0" % number, 3, "run_node", b"", [])


def take(suspects: Suspects, count: int) -> list[Entry]:
    """Hold so many."""
    taken = [entry(number) for number in range(count)]
    for each in taken:
        suspects.add(each)
    return taken


def end(suspects: Suspects, entries: list[Entry], *, well: bool = True) -> None:
    """They are settled, or let go of unsettled."""
    for each in entries:
        each.acknowledged = well
        suspects.discard(each)


def test_each_that_ends_well_makes_room_for_one_more() -> None:
    """1, 2, 4, 8 at once: a thousand innocents take ten times as long as one, not a thousand times."""
    suspects, found = Suspects(), []
    for _ in range(5):
        found.append(suspects.admit("q"))
        suspects.end_admission("q")
        end(suspects, take(suspects, found[-1].most))
    assert found == [(1, True), (2, False), (4, False), (8, False), (16, False)]


def test_one_that_is_not_settled_makes_the_next_begin_alone() -> None:
    """It comes again, and its deliveries must count, or it would come for ever."""
    suspects = Suspects()
    end(suspects, take(suspects, 3))
    assert suspects.admit("q") == (4, False)
    end(suspects, take(suspects, 1), well=False)
    assert suspects.admit("q") == (1, True)


def test_what_was_seen_of_others_is_forgotten() -> None:
    """A message that is suspected for the first time runs alone in every process."""
    clock = Clock()
    suspects = Suspects(clock=clock)
    end(suspects, take(suspects, 3))
    clock.now += FORGOTTEN_AFTER_S - 1
    assert suspects.admit("q").most == 4
    clock.now += 2
    assert suspects.admit("q") == (1, True)


def test_where_two_deliveries_are_allowed_it_stays_one_at_a_time() -> None:
    """One taken beside others would look as if it came for the first time."""
    suspects = Suspects(grows=False)
    end(suspects, take(suspects, 3))
    assert suspects.admit("q") == (1, True)
