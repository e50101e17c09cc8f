"""The watchdog looks after what runs for as long as anything does."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import ClassVar, cast

import pytest

from flowengine.engine.running.quick_group import QuickGroups
from flowengine.engine.running.runner import Runner
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.worker.watchdog import Watchdog
from tests.support.waiting import wait_until


class Turns:
    """Stands for what is looked after: counts the turns, and fails in the first."""

    running: ClassVar[dict[int, TaskInHand]] = {}

    def __init__(self) -> None:
        self.count = 0

    @property
    def starts(self) -> Turns:
        """These as well."""
        return self

    def note_those_that_last(self, hands: Sequence[TaskInHand]) -> None:
        """Nothing runs."""
        assert not hands

    def relieve(self) -> None:
        """One turn."""
        self.count += 1
        if self.count == 1:
            raise ValueError("nobody expected this")


@pytest.fixture
def turns() -> Iterator[Turns]:
    """A watchdog of a process that has been told to stop."""
    turns, stop = Turns(), threading.Event()
    watching = Watchdog(cast(Runner, turns), cast(QuickGroups, turns), 30.0, stop, every_s=0.001)
    stop.set()
    watching.start()
    yield turns
    watching.end()
    watching.join(5)
    assert not watching.is_alive()


def test_the_watchdog_goes_on_while_the_process_drains_and_after_an_error(turns: Turns) -> None:
    """Deadlines hold until the last node has ended, whatever went wrong in one turn."""
    wait_until(lambda: turns.count >= 3, within_s=5, what="three turns")
