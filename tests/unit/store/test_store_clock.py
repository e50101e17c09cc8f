"""Redis's clock, as a process carries it on between replies."""

from __future__ import annotations

import pytest

from flowengine.store.connection.clock import OLD_S, Clock


class Here:
    """Stands for this machine's monotonic clock."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.at


@pytest.fixture
def here() -> Here:
    return Here()


def reply(seconds: float) -> tuple[int, int]:
    """What TIME answers."""
    return int(seconds), round(seconds % 1 * 1_000_000)


def test_it_asks_once_and_goes_on_by_itself(here: Here) -> None:
    """One round trip in a process's life, where nothing else brings the time."""
    asked = []

    def ask() -> tuple[int, int]:
        asked.append(here.at)
        return reply(50_000.25)

    clock = Clock(ask, here)
    assert clock.now() == 50_000_250
    here.at += 1.5
    assert clock.now() == 50_001_750
    assert len(asked) == 1


def test_a_reply_that_was_long_on_its_way_does_not_set_it_slow(here: Here) -> None:
    """The least late reply counts: the true time here is 49,000 s more than this machine's."""
    clock = Clock(lambda: reply(0), here)
    assert clock.seen(reply(here.at + 49_000 - 0.020)) == 49_999_980
    clock.seen(reply(here.at + 49_000 - 0.001))
    here.at += 1
    clock.seen(reply(here.at + 49_000 - 0.300))
    assert clock.now() == 50_000_999


def test_a_server_whose_clock_was_set_back_is_followed_in_time(here: Here) -> None:
    """An old estimate gives way, whatever the next reply says."""
    clock = Clock(lambda: reply(0), here)
    clock.seen(reply(50_000))
    here.at += OLD_S + 1
    was_old = clock.is_old
    clock.seen(reply(40_000))
    assert (was_old, clock.is_old) == (True, False)
    assert clock.now() == 40_000_000
