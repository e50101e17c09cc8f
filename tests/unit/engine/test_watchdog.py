"""The watchdog looks after what runs for as long as anything does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from flowengine.engine.running.quick_group import QuickGroups
from flowengine.engine.running.runner import Runner
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.plugin.context import Cancellation
from flowengine.worker.draining import Draining
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

    @property
    def stops(self) -> Turns:
        """And these."""
        return self

    @property
    def outputs(self) -> Turns:
        """And what they say."""
        return self

    def flush(self, hands: Sequence[TaskInHand]) -> None:
        """Nobody says anything."""
        assert not hands

    def deliver(self, hands: Sequence[TaskInHand]) -> None:
        """Nobody is told of a stop."""
        assert not hands

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
    watching.join(30)
    assert not watching.is_alive()


def test_the_watchdog_goes_on_while_the_process_drains_and_after_an_error(turns: Turns) -> None:
    """Deadlines hold until the last node has ended, whatever went wrong in one turn."""
    wait_until(lambda: turns.count >= 3, what="three turns")


class Late:
    """A node whose handler does not return, and one that has time left."""

    taken = True
    holds_thread = True

    def __init__(self, left_s: float) -> None:
        self.deadline = time.monotonic() + left_s
        self.task = self
        self.node = self.handler = self.execution = "late"
        self.held = SimpleNamespace(is_lost=False)
        self.cancellation = Cancellation()


class Drains:
    """Stands for the draining: notes when it begins, and is over when the test says so."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.over = False

    def begin(self, grace_s: float) -> None:
        """Notes it."""
        self.begun.append(grace_s)

    def is_over(self) -> bool:
        """As the test says."""
        return self.over


def watching(
    turns: Turns,
    stop: threading.Event,
    drains: Drains,
    *,
    left_s: Sequence[float] = (),
    silent_s: float = 0.0,
    grace_s: float = 1.0,
) -> Watchdog:
    """A watchdog that has begun, over nodes that have so many seconds left each."""
    runner = SimpleNamespace(
        running=dict(enumerate(map(Late, left_s))),
        starts=SimpleNamespace(note_those_that_last=lambda hands: None),
        stops=SimpleNamespace(deliver=lambda hands: None),
        outputs=SimpleNamespace(flush=lambda hands: None),
    )
    made = Watchdog(
        cast(Runner, runner),
        cast(QuickGroups, turns),
        grace_s,
        stop,
        draining=cast(Draining, drains),
        loop_silent_s=lambda: silent_s,
        every_s=0.001,
    )
    made.start()
    return made


@pytest.mark.proves("handler-hangs", "event-loop-blocked")
@pytest.mark.parametrize(
    "lost", [{"left_s": [-2.0, 45.0]}, {"silent_s": 2.0}], ids=["a thread", "the event loop"]
)
def test_what_is_lost_stops_the_process_only_once_the_others_have_finished(lost: dict[str, Any]) -> None:
    """Innocents were handed back after the grace, and began again elsewhere."""
    turns, stop, drains = Turns(), threading.Event(), Drains()
    watchdog = watching(turns, stop, drains, **lost)
    wait_until(lambda: drains.begun and turns.count >= 5, what="a few turns")
    assert not stop.is_set()
    drains.over = True
    assert stop.wait(30)
    watchdog.end()
    watchdog.join(30)
    assert drains.begun == [1.0]
    assert watchdog.lost
    assert watchdog.drained


@pytest.mark.parametrize(
    "late", [{"left_s": [-0.9, 45.0]}, {"silent_s": 0.9}], ids=["a thread", "the event loop"]
)
def test_what_is_late_by_less_than_the_grace_is_not_given_up(late: dict[str, Any]) -> None:
    """It may come back."""
    turns, stop, drains = Turns(), threading.Event(), Drains()
    watchdog = watching(turns, stop, drains, grace_s=30.0, **late)
    try:
        wait_until(lambda: turns.count >= 3, what="a few turns")
    finally:
        watchdog.end()
        watchdog.join(30)
    assert drains.begun == []


def test_a_handler_whose_lease_is_lost_is_told_to_stop(turns: Turns) -> None:
    """Another process runs its node: whatever comes of it here is for nobody."""
    stop, drains = threading.Event(), Drains()
    made = watching(turns, stop, drains, left_s=[45.0, 45.0])
    mine, theirs = made._runner.running.values()
    cast(Any, theirs.held).is_lost = True
    wait_until(lambda: theirs.cancellation.requested, what="the word to stop")
    assert not mine.cancellation.requested
    made.end()
    made.join(30)
