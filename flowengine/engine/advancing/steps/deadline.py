"""A deadline's timer has fired: report a timeout, or arm the timer again if the node is not overdue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from flowengine.engine.held import Held
from flowengine.engine.ports import AdvancingStore, Begun, Reading
from flowengine.errors import ConflictError
from flowengine.execution.changes import ArmTimer
from flowengine.execution.messages import Callback, Deadline
from flowengine.execution.records import UNTOUCHED, NodeRecord
from flowengine.execution.rules.deadlines import backstop_due, is_awaited, is_overdue, timed_out
from flowengine.execution.work import queue_of, timeout_ms_of

TRIES: Final = 12
SOONEST_MS: Final = 100
"""A timer that fired too early is armed again no sooner, so that clocks that differ cannot make it spin."""


class DeadlineStep:
    """`report` applies the callback that tells of a timeout.

    A report that comes too late changes nothing, and does what a timer that died over its node has left
    undone.
    """

    def __init__(
        self,
        store: AdvancingStore,
        *,
        lease_ms: int,
        report: Callable[[Sequence[Held[Callback]]], None],
    ) -> None:
        self._store = store
        self._lease_ms = lease_ms
        self._report = report

    def fire(self, held: Held[Deadline]) -> None:
        """Deal with one timer. Raises ConflictError, StoreUnavailableError."""
        timer = held.payload
        plan = self._store.plan(timer.execution)
        position = None if plan is None else plan.index.get(timer.node)
        node = None if plan is None or position is None else plan.nodes[position]
        begun = self._store.begun(timer.execution, timer.node, timer.dispatch, timer.item)
        state = None if node is None or begun is None else self._store.task_state(queue_of(node), begun)
        timeout_ms = 0 if node is None else timeout_ms_of(node)
        key = (timer.execution, timer.node)
        for _ in range(TRIES):
            unit = self._store.begin(Reading((key,), ()), exact_time=True)
            record = unit.nodes.get(key, UNTOUCHED)
            if not is_awaited(record, timer.dispatch, timer.item):
                unit.abandon()
                self._time_out(held, record, timeout_ms, begun, unit.now)
                return
            if begun is None or state is None:
                # It was given back: its next delivery arms a timer of its own.
                unit.abandon()
                self._store.acknowledge(held.acknowledge)
                held.confirm()
                return
            due = backstop_due(begun.at, timeout_ms, self._lease_ms)
            if is_overdue(due, unit.now, state):
                unit.abandon()
                self._time_out(held, record, timeout_ms, begun, unit.now)
                return
            later = max(due, unit.now + SOONEST_MS) if due > unit.now else unit.now + self._lease_ms
            again = ArmTimer(timer, later)
            if unit.commit({timer.execution: [again]}, held.acknowledge) is not None:
                held.confirm()
                return
        raise ConflictError(f"node '{timer.node}' of '{timer.execution}' keeps changing")

    def _time_out(
        self, held: Held[Deadline], record: NodeRecord, timeout_ms: int, begun: Begun | None, now: int
    ) -> None:
        timer = held.payload
        execution = self._store.read_execution(timer.execution)
        callback = timed_out(
            timer,
            attempt=record.attempt if timer.item is None else timer.item.number,
            timeout_ms=timeout_ms,
            began=None if begun is None else begun.at,
            now=now,
            correlation_id="" if execution is None else execution.correlation_id,
            until=0 if timer.item is None or record.map is None else record.map.until,
        )
        self._report([held.of(callback)])
