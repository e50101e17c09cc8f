"""Open maps that do not move: items that are due and were not sent, and tasks of items that have vanished.

The events of an execution do not tell of items. So each open map is remembered with its numbers, and looked
at when these have stood still from one sweep to the next, and all messages of before have left the queues.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from flowengine.engine.advancing.steps.map_step import MapStep
from flowengine.engine.ports import AdvancingStore, MapNumbers, NodeKey, Reading
from flowengine.execution.changes import ArmTimer, Send, SendItems
from flowengine.execution.messages import ItemTry, MapOver, RunNode
from flowengine.execution.records import UNTOUCHED, ExecutionRecord, NodeRecord
from flowengine.execution.rules.dispatching import Run, Sizes, base_of_items
from flowengine.execution.rules.maps.children import child_of, tend_item
from flowengine.execution.rules.maps.opening import key_of, task_of_item
from flowengine.execution.rules.maps.time_over import time_due, time_of_map
from flowengine.execution.rules.waits.waiting_timer import WaitingTimer
from flowengine.execution.status import is_over
from flowengine.execution.work import queue_of
from flowengine.queues import ORCHESTRATOR_QUEUE, crowd_line
from flowengine.workflow.plan import Plan
from flowengine.workflow.priority import Priority

_ORCHESTRATORS: Final = (ORCHESTRATOR_QUEUE, crowd_line(ORCHESTRATOR_QUEUE))


class OpenMapStore(AdvancingStore, Protocol):
    """State as this needs it."""

    def read_executions(self, executions: Sequence[str]) -> list[ExecutionRecord | None]: ...
    def oldest_entries_ms(self, queues: Sequence[str]) -> dict[str, int | None]: ...
    def streams_of(self, queue: str, *, waits: bool, crowd: bool, priority: Priority) -> tuple[str, ...]: ...
    def handlers_waited_for(self, queues: Sequence[str]) -> set[tuple[str, str]]: ...
    def are_armed(self, timers: Sequence[WaitingTimer | MapOver]) -> list[bool]: ...
    def now(self) -> int: ...


class _Seen(msgspec.Struct, frozen=True):
    """How far a map was when it was first seen so, and when that was."""

    dispatch: int
    numbers: MapNumbers
    at: int


class OpenMaps:
    """What one process remembers of open maps. `margin_ms`: times of messages are compared to within that."""

    def __init__(self, store: OpenMapStore, sizes: Sizes, margin_ms: int) -> None:
        self._store = store
        self._margin_ms = margin_ms
        self._maps = MapStep(store, sizes, report=lambda held: None, stop=lambda execution: None)
        self._seen: dict[NodeKey, _Seen] = {}

    def forget(self, running: Mapping[str, str]) -> None:
        """Remember only maps of executions that run."""
        self._seen = {key: seen for key, seen in self._seen.items() if key[0] in running}

    def check(self, plan: Plan, run: Run, node: str, record: NodeRecord) -> int:
        """How much was repaired of an open map. Raises ConflictError, StoreUnavailableError."""
        key = (run.execution, node)
        numbers = self._store.map_numbers(run.execution, [node])[node]
        before = self._seen.get(key)
        if before is None or (before.dispatch, before.numbers) != (record.dispatch, numbers):
            self._seen[key] = _Seen(record.dispatch, numbers, self._store.now())
            return 0
        if not self._has_left(_ORCHESTRATORS, before.at):
            return 0
        end = self._maps.look(run, node)
        if end is not None:
            self._send(run, end_of=Send(end))
            return 1
        if self._store.map_numbers(run.execution, [node])[node] != numbers:
            return 1
        if self._arm_again(run, node, record):
            return 1
        if record.map is not None and record.map.children is not None:
            return self._tend_again(run, node, record, numbers)
        queue = queue_of(plan.nodes[plan.index[node]])
        waits, priority = plan.index[node] in plan.waiting, plan.overall.priority
        streams = self._store.streams_of(queue, waits=waits, crowd=True, priority=priority)
        if not self._has_left(streams, before.at):
            return 0
        if any(waited == queue for waited, _ in self._store.handlers_waited_for([queue])):
            return 0
        # A report may have been sent after the first look at its queue.
        if not self._has_left(_ORCHESTRATORS, before.at):
            return 0
        return self._send_again(plan, run, node, record, numbers)

    def _has_left(self, queues: Sequence[str], before: int) -> bool:
        """Whether all messages of these queues are newer than this."""
        oldest = self._store.oldest_entries_ms(queues).values()
        return all(each is None or each > before + self._margin_ms for each in oldest)

    def _send(self, run: Run, *, end_of: Send) -> None:
        unit = self._store.begin(Reading((), (run.execution,)))
        unit.commit({run.execution: [end_of]})

    def _arm_again(self, run: Run, node: str, record: NodeRecord) -> bool:
        """Arm the timer again of a map that has a time, where it is gone; whether it was."""
        timer, due = time_of_map(run.execution, node, record), time_due(record)
        if not due or record.map is None or record.map.over or self._store.are_armed([timer]) != [False]:
            return False
        unit = self._store.begin(Reading(((run.execution, node),), (run.execution,)))
        if unit.nodes.get((run.execution, node), UNTOUCHED) != record:
            unit.abandon()
            return False
        return unit.commit({run.execution: [ArmTimer(timer, due)]}) is not None

    def _tend_again(self, run: Run, node: str, record: NodeRecord, numbers: MapNumbers) -> int:
        """Have those children looked after that have ended, or were never made. One that runs is left to its
        own messages."""
        known = record.map
        if known is None or known.children is None:
            return 0
        found = self._store.items_in_flight(run.execution, node, numbers.sent, again=known.again)
        stands = [
            (item.index, child_of(run.execution, node, known.children, key_of(item.stored, item.index)))
            for item, _ in found
        ]
        executions = self._store.read_executions([child.execution for _, child in stands])
        lost = [
            Send(tend_item(run, node, child, index))
            for (index, child), execution in zip(stands, executions, strict=True)
            if execution is None
            or execution.run < child.run
            or is_over(execution.status)
            or (known.over and execution.stop is None)
        ]
        unit = self._store.begin(Reading(((run.execution, node),), (run.execution,)))
        same = unit.nodes.get((run.execution, node), UNTOUCHED) == record
        if not lost or not same or unit.commit({run.execution: lost}) is None:
            unit.abandon()
            return 0
        return len(lost)

    def _send_again(self, plan: Plan, run: Run, node: str, record: NodeRecord, numbers: MapNumbers) -> int:
        """Send the tasks again that are gone. An item that waits for its next try is left to its timer."""
        position = plan.index[node]
        again = record.map is not None and record.map.again
        found = self._store.items_in_flight(run.execution, node, numbers.sent, again=again)
        unit = self._store.begin(Reading(((run.execution, node),), (run.execution,)))
        control, now_record = (
            unit.controls.get(run.execution),
            unit.nodes.get((run.execution, node), UNTOUCHED),
        )
        if control is None or not control.lets_dispatch or now_record != record:
            unit.abandon()
            return 0
        base = base_of_items(plan, position, record, run)
        said = plan.policy(position).map
        name = "item" if said is None else said.name
        tasks: list[RunNode] = []
        for item, tried in found:
            before = tried if tried is not None and tried.run == record.run else None
            if before is not None and before.status == "waiting":
                continue
            number = 1 if before is None else before.dispatch
            answered = item.answered if before is None else before.answered
            moment = unit.now if before is None or before.moment is None else before.moment
            wanted = ItemTry(item.index, number, answered, moment)
            tasks.append(task_of_item(base, item.stored, wanted, name))
        queue, waits = queue_of(plan.nodes[position]), position in plan.waiting
        change = SendItems(node, None, tuple(tasks), queue, waits)
        if not tasks or unit.commit({run.execution: [change]}) is None:
            unit.abandon()
            return 0
        return len(tasks)
