"""How the handlers of a process hear that their execution is being stopped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec

from flowengine.engine.held import Held, Receipt
from flowengine.engine.ports import RunningStore, Start
from flowengine.engine.running.stop_notices import MARGIN_MS, StopNotices
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.execution.messages import RunNode
from tests.unit.engine.tasks import task


class Marks:
    """A store that knows marks, and counts what it is asked."""

    def __init__(self) -> None:
        self.marked: dict[str, int] = {}
        self.stopped: set[tuple[str, int]] = set()
        self.since: list[int] = []
        self.asked: list[set[tuple[str, int]]] = []

    def stops_since(self, at: int) -> list[tuple[str, int]]:
        """The marks since."""
        self.since.append(at)
        return [(execution, when) for execution, when in self.marked.items() if when >= at]

    def unwanted(self, tasks: Sequence[RunNode]) -> list[RunNode]:
        """Those of these whose execution is being stopped in their run."""
        self.asked.append({(task.execution, task.run) for task in tasks})
        return [task for task in tasks if (task.execution, task.run) in self.stopped]


def hand(execution: str, run: int = 1) -> TaskInHand:
    """A task in hand."""
    its_task = msgspec.structs.replace(task("n"), execution=execution, run=run)
    held = Held(its_task, 1, "1-0/me", cast(Receipt, None))
    return TaskInHand(held, Start(True, {}, None, 0))


def notices(store: Marks, seconds: list[float]) -> StopNotices:
    """Notices over this store, by a clock that tells these times one after the other."""
    told = iter(seconds)
    return StopNotices(cast(RunningStore, store), clock=lambda: next(told))


def test_a_handler_hears_of_its_stop() -> None:
    """And no other one."""
    store, mine, other = Marks(), hand("a"), hand("b")
    store.marked, store.stopped = {"a": 5}, {("a", 1)}
    notices(store, [0.0]).deliver([mine, other])
    assert (mine.cancellation.requested, other.cancellation.requested) == (True, False)
    assert store.asked == [{("a", 1)}]


def test_only_the_run_that_is_stopped_hears_of_it() -> None:
    """The execution was triggered again meanwhile."""
    store, later = Marks(), hand("a", run=2)
    store.marked, store.stopped = {"a": 5}, {("a", 1)}
    notices(store, [0.0]).deliver([later])
    assert not later.cancellation.requested


def test_the_store_is_asked_once_a_second_whatever_runs() -> None:
    """One command where nothing is stopped."""
    store = Marks()
    made = notices(store, [0.0, 0.5, 0.9, 1.0])
    for _ in range(4):
        made.deliver([hand("a") for _ in range(100)])
    assert (len(store.since), store.asked) == (2, [])


def test_a_mark_that_is_written_late_is_not_missed() -> None:
    """Its time is before that of one that was seen already."""
    store, mine = Marks(), hand("late")
    made = notices(store, [0.0, 2.0])
    store.marked = {"early": 100_000}
    made.deliver([])
    store.marked["late"], store.stopped = 100_000 - MARGIN_MS, {("late", 1)}
    made.deliver([mine])
    assert mine.cancellation.requested
    assert made.is_named("late")


def test_a_task_that_is_reported_hears_of_nothing() -> None:
    """Nobody asks about it."""
    store, mine = Marks(), hand("a")
    store.marked, store.stopped = {"a": 5}, {("a", 1)}
    mine.take()
    notices(store, [0.0]).deliver([mine])
    assert store.asked == []
