"""The slow sweep: running executions that have not moved are checked, and corrected.

It should never find anything: what it repairs is counted and logged as an error, because something
else has failed to keep its promise. Also prunes the indexes.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Final, Protocol, TypeAlias

import structlog

from flowengine.engine.advancing.follow_up import Follow, FollowUp
from flowengine.engine.advancing.reads import undecided
from flowengine.engine.advancing.steps.signal_step import SignalStep
from flowengine.engine.advancing.steps.stop_step import STOP_S, StopStep
from flowengine.engine.delivering.lost_deliveries import LostDeliveries, LostDeliveryStore
from flowengine.engine.maintenance.lapsed_runs import LapsedRuns
from flowengine.engine.maintenance.open_maps import OpenMaps, OpenMapStore
from flowengine.engine.maintenance.unarmed_schedules import UnarmedSchedules, UnarmedStore
from flowengine.engine.maintenance.unfinished_deletes import UnfinishedDeletes, UnfinishedStore
from flowengine.engine.maintenance.unmoved_lines import UnmovedLines, UnmovedStore
from flowengine.engine.ports import Reading, Unit
from flowengine.errors import FlowEngineError, StoreUnavailableError
from flowengine.execution.changes import ArmTimer, Change, SetCounter, SetCounts
from flowengine.execution.messages import MapOver
from flowengine.execution.records import UNTOUCHED, ExecutionRecord, NodeRecord, is_open_map
from flowengine.execution.rules.children.opening import tend_open, tend_parent
from flowengine.execution.rules.dispatching import SIZES, Run, Sizes, dispatch_again, lines_of_task
from flowengine.execution.rules.maps.children import standing
from flowengine.execution.rules.readiness import (
    Records,
    count_of,
    counter_of,
    decidable,
    needs_counter,
    records_of,
)
from flowengine.execution.rules.starting import opening
from flowengine.execution.rules.waits.waiting_timer import WaitingTimer, has_timer, waiting_timer
from flowengine.execution.status import is_final, is_in_flight, is_open, is_over, takes_reports
from flowengine.execution.work import handler_of, queue_of
from flowengine.observability.metrics import counted
from flowengine.queues import ORCHESTRATOR_QUEUE, crowd_line
from flowengine.workflow.children.lineage import Lineage
from flowengine.workflow.plan import Plan, PlanNode
from flowengine.workflow.priority import Priority
from flowengine.workflow.stages import Stage

log = structlog.stdlib.get_logger()

POLL_S: Final = 5.0
MARGIN_MS: Final = 10_000
CLOCK_MARGIN_MS: Final = 100
CHECKED_AT_MOST: Final = 5000
LEASE_S: Final = 12.0

Dispatched: TypeAlias = tuple[str, str, int]
"""Execution, node, dispatch number."""


class SweepStore(OpenMapStore, UnmovedStore, UnarmedStore, UnfinishedStore, LostDeliveryStore, Protocol):
    """State, and what only a sweep asks for."""

    def sweep_due(self, every_s: float) -> bool:
        """Whether this process shall sweep now; of several that ask at once, one is told so."""

    def running_executions(self) -> dict[str, int]:
        """The ids of all running executions, and when each was triggered, in milliseconds."""

    def last_moves(self, executions: Sequence[str]) -> dict[str, str]:
        """For each execution, a mark that changes whenever something happens to it.

        Without those that cannot be read.
        """

    def oldest_entries_ms(self, queues: Sequence[str]) -> dict[str, int | None]:
        """When the oldest message of each queue was sent, looked at in this order; None: it is empty."""

    def streams_of(self, queue: str, *, waits: bool, crowd: bool, priority: Priority) -> tuple[str, ...]:
        """The queue and the lines beside it in which the task of such a node may be, of those in use.

        `waits`: its handler is async. `crowd`: it is one of many that its execution has sent at once.
        `priority`: that of its execution.
        """

    def are_armed(self, timers: Sequence[WaitingTimer | MapOver]) -> list[bool]:
        """Whether each of these timers is armed."""

    def handlers_waited_for(self, queues: Sequence[str]) -> set[tuple[str, str]]:
        """Queues and handlers: tasks for these wait beside the queue for a worker that knows the handler."""

    def forget_running(self, execution: str) -> None:
        """Take an execution that is gone out of the index."""

    def now(self) -> int:
        """Redis's time in milliseconds."""

    def send_bulks_again(self, before: int) -> list[str]:
        """Send the messages again of bulks that have not moved since this time; returns which."""

    def prune(self) -> int:
        """Remove what has expired from the indexes; returns how many."""


class Sweep:
    """The sweep of one process; remembers where each execution stood at its last one.

    Looks at no more than `at_most` executions at a time, the next ones at the next. Times of messages are
    compared to within `clock_margin_ms`.
    """

    def __init__(
        self,
        store: SweepStore,
        *,
        sizes: Sizes = SIZES,
        at_most: int = CHECKED_AT_MOST,
        clock_margin_ms: int = CLOCK_MARGIN_MS,
        stop_s: float = STOP_S,
        lease_s: float = LEASE_S,
    ) -> None:
        self._store = store
        self._clock_margin_ms = clock_margin_ms
        self._follow_up = FollowUp(store, sizes)
        self._stops = StopStep(
            store, self._follow_up, sizes, stop_ms=int(stop_s * 1000), lease_ms=int(lease_s * 1000)
        )
        self._signals = SignalStep(store, self._follow_up, sizes)
        self._deletes = UnfinishedDeletes(store)
        self._deliveries = LostDeliveries(store, clock_margin_ms)
        self._lines = UnmovedLines(store, clock_margin_ms)
        self._schedules = UnarmedSchedules(store, clock_margin_ms)
        self._maps = OpenMaps(store, sizes, clock_margin_ms)
        self._at_most = at_most
        self._marks: dict[str, str] = {}
        self._missing: dict[Dispatched, int] = {}
        self._reached = ""
        self.repaired = 0
        self.unchecked = 0
        """How often an execution could not be checked."""

    def run(self) -> int:
        """Sweep once; returns how many things were repaired. Raises StoreUnavailableError."""
        before = self.repaired
        started = self._store.running_executions()
        marks = self._store.last_moves(list(started))
        now = self._store.now()
        oldest = self._oldest_callback()
        stuck = sorted(
            execution
            for execution, mark in marks.items()
            if self._marks.get(execution) == mark
            and not self._waits_its_turn(oldest, started[execution], mark)
        )
        self._marks = marks
        self._maps.forget(marks)
        self._missing = {key: at for key, at in self._missing.items() if key[0] in marks}
        for execution in self._next_of(stuck):
            self._alone(execution, partial(self._check, execution, marks[execution]))
        self._go_on((now if oldest is None else min(now, oldest)) - self._clock_margin_ms)
        self.repaired += self._deliveries.look()
        if moved := self._lines.look():
            self._found("", "unmoved_line", moved)
        if armed := self._schedules.look():
            self._found("", "unarmed_schedule", armed)
        self._store.prune()
        return self.repaired - before

    def _go_on(self, before: int) -> None:
        """Go on with what has stood still since this time, and has no message in the queue."""
        for execution in self._deletes.finish(before, self._alone):
            self._found(execution, "unfinished_delete", 1)
        for bulk in self._store.send_bulks_again(before):
            self.repaired += 1
            counted.REPAIRS.add("lost_bulk")
            log.error("sweep.repaired", bulk_id=bulk, what="lost_bulk", count=1)

    def _next_of(self, stuck: Sequence[str]) -> list[str]:
        """Those to look at now: the ones after those that were looked at last."""
        after = bisect_right(stuck, self._reached)
        chosen = [*stuck[after:], *stuck[:after]][: self._at_most]
        self._reached = chosen[-1] if chosen else ""
        return chosen

    def _alone(self, execution: str, work: Callable[[], bool | None]) -> bool:
        """One execution that cannot be checked does not keep the others from it, nor the pruning."""
        try:
            return work() is True
        except StoreUnavailableError:
            raise
        except Exception:
            self.unchecked += 1
            log.error("sweep.check_failed", execution_id=execution, exc_info=True)
            return False

    def _check(self, execution: str, mark: str) -> None:
        plan, record = self._store.plans_and_executions([execution])[execution]
        if plan is None and record is None:
            self._store.forget_running(execution)
        if plan is None or record is None or is_over(record.status):
            return
        oldest = self._oldest_callback()
        if self._waits_its_turn(oldest, record.started_at, mark):
            return
        stage = record.stage
        stored = self._store.read_nodes(execution, plan.names(stage))
        if self._store.last_moves([execution]).get(execution) != mark:
            return  # it has moved meanwhile, and what follows from that is on its way
        records = records_of(stored)
        run = Run(execution, record.run, record.correlation_id)
        self._check_numbers(plan, execution, records, stage)
        if record.stop is not None:
            self._stops.carry_out(plan, execution, record, None)
        if not record.control.lets_dispatch:
            return
        positions = decidable(plan, records, stage)
        if positions or all(is_final(records(name).status) for name in plan.names(stage)):
            self._found(execution, "ready_nodes", len(positions))
            unopened = run.run == 1 and stage == "main" and positions[:1] == plan.roots[:1]
            first = opening(record) if unopened else None
            follows = [Follow(run, plan, positions, (), first)] if positions else []
            self._follow_up.carry_out(follows, None, [run])
        if queued := {name: record for name, record in stored.items() if is_in_flight(record.status)}:
            self._check_messages(plan, run, queued)
        if plan.signal_nodes:
            self._check_signals(plan, run, record)
        for name in [name for name, found in stored.items() if is_open_map(found)]:
            if repaired := self._maps.check(plan, run, name, stored[name]):
                self._found(execution, "unmoved_map", repaired)
        self._check_pauses(run, {n: r for n, r in stored.items() if has_timer(r)})
        if plan.lineage is not None and plan.lineage.items:
            self._check_unawaited(run, plan.lineage)
        standing = {n: r for n, r in stored.items() if is_open(r.status) and not is_open_map(r)}
        self._check_children(run, standing)

    def _oldest_callback(self) -> int | None:
        """When the oldest message to the orchestrators was sent."""
        found = self._store.oldest_entries_ms([ORCHESTRATOR_QUEUE, crowd_line(ORCHESTRATOR_QUEUE)])
        return min([at for at in found.values() if at is not None], default=None)

    def _waits_its_turn(self, oldest: int | None, started_at: int, mark: str) -> bool:
        """Whether the orchestrators are so far behind that what moves it on may still be in their queue."""
        moved = int(mark.split("-")[0]) if mark else started_at
        return oldest is not None and oldest <= max(moved, started_at) + self._clock_margin_ms

    def _check_numbers(self, plan: Plan, execution: str, records: Records, stage: Stage) -> None:
        unit = self._store.begin(Reading((), (execution,), (execution,)))
        unit.abandon()
        if _corrections(plan, execution, records, unit, stage):
            self._correct_numbers(plan, execution, stage)

    def _correct_numbers(self, plan: Plan, execution: str, stage: Stage) -> None:
        """Correct joins' counters and the execution's counts.

        Every node is WATCHed: a transaction that moves one of the numbers writes a node as well, so that
        an end meanwhile is not overwritten.
        """
        nodes = tuple((execution, name) for name in plan.names(stage))
        unit = self._store.begin(Reading(nodes, (execution,), (execution,)))
        records = records_of({name: record for (_, name), record in unit.nodes.items()})
        changes = _corrections(plan, execution, records, unit, stage)
        control = unit.controls.get(execution)
        moved = control is None or control.stage != stage
        if not changes or control is None or moved or not takes_reports(control.status):
            unit.abandon()
        elif unit.commit({execution: changes}) is not None:
            self._found(execution, "numbers", len(changes))

    def _check_messages(self, plan: Plan, run: Run, queued: Mapping[str, NodeRecord]) -> None:
        """Dispatch again those whose message is gone: older than all in its queue, in no line beside it."""
        nodes = {name: plan.nodes[plan.index[name]] for name in queued}
        queues = list(dict.fromkeys(map(queue_of, nodes.values())))
        streams = self._streams(plan, nodes)
        oldest = self._store.oldest_entries_ms(list(dict.fromkeys(chain(queues, *streams.values()))))

        def may_wait(name: str) -> bool:
            return any(_may_wait(queued[name], oldest[stream]) for stream in streams[name])

        gone = {name for name in queued if not may_wait(name)}
        # A task leaves its queue as it enters the line of its handler, and either as its callback is sent.
        waited_for = self._store.handlers_waited_for(queues) if gone else ()
        oldest_callback = self._oldest_callback() if gone else None
        for name, record in queued.items():
            dispatched = (run.execution, name, record.dispatch)
            waits_beside = (queue_of(nodes[name]), handler_of(nodes[name])) in waited_for
            if name not in gone or waits_beside:
                self._missing.pop(dispatched, None)
            elif self._has_no_callback(dispatched, oldest_callback):
                self._dispatch_again(plan, name, run, record)

    def _check_signals(self, plan: Plan, run: Run, record: ExecutionRecord) -> None:
        """Bring together what is kept and what waits for it, and what nobody has brought together."""
        took = self._signals.bring_together(plan, run, record)
        if took:
            self._found(run.execution, "vanished_signal", took)
            positions = undecided(self._store, run.execution, plan, record.stage)
            follows = [Follow(run, plan, positions)] if positions else []
            self._follow_up.carry_out(follows, None, [run])

    def _streams(self, plan: Plan, nodes: Mapping[str, PlanNode]) -> dict[str, tuple[str, ...]]:
        """For each node, where its task may be."""
        asked: dict[tuple[str, bool, bool], tuple[str, ...]] = {}
        found = {}
        for name, node in nodes.items():
            position, queue = plan.index[name], queue_of(node)
            streams: list[str] = []
            for waits in lines_of_task(plan, position):
                kind = (queue, waits, position in plan.crowd)
                if kind not in asked:
                    asked[kind] = self._store.streams_of(
                        queue, waits=waits, crowd=kind[2], priority=plan.overall.priority
                    )
                streams += asked[kind]
            found[name] = tuple(dict.fromkeys(streams))
        return found

    def _check_children(self, run: Run, opened: Mapping[str, NodeRecord]) -> None:
        """Have those children looked after that have ended, or were never made, and of which no message may
        still wait to tell."""
        for name, record in opened.items():
            awaited = record.child
            child = None if awaited is None else self._store.read_execution(awaited.execution)
            if awaited is None or (
                child is not None and child.run == awaited.run and not is_over(child.status)
            ):
                continue
            oldest = self._oldest_callback()
            if self._waits_its_turn(oldest, 0 if child is None else child.finished_at, ""):
                continue
            unit = self._store.begin(Reading(((run.execution, name),), (run.execution,)))
            now = unit.nodes.get((run.execution, name), UNTOUCHED)
            changes = tend_open(run.execution, name, now, run.correlation_id) if now == record else ()
            if not changes:
                unit.abandon()
            elif unit.commit({run.execution: changes}) is not None:
                self._found(run.execution, "lost_child", 1)

    def _check_unawaited(self, run: Run, lineage: Lineage) -> None:
        """Have the child of an item looked after that runs though its map has ended, or has another list."""
        key, item = (lineage.parent, lineage.node), lineage.items[-1]
        if lineage.item is None:
            return
        unit = self._store.begin(Reading((key,), (lineage.parent,)))
        stands = standing(*key, unit.nodes.get(key, UNTOUCHED), item.key, ended=False)
        awaited = stands.awaits and stands.child is not None and stands.child.execution == run.execution
        if awaited or lineage.parent not in unit.controls:
            unit.abandon()
            return
        told = tend_parent(lineage, run.execution, run.run, run.correlation_id)
        if unit.commit({lineage.parent: [told]}) is not None:
            self._found(run.execution, "lost_child", 1)

    def _check_pauses(self, run: Run, waiting: Mapping[str, NodeRecord]) -> None:
        """Arm the timers again of nodes that wait and whose timer and message are gone."""
        timers = {name: waiting_timer(run.execution, name, record) for name, record in waiting.items()}
        gone = [
            name
            for name, armed in zip(timers, self._store.are_armed(list(timers.values())), strict=True)
            if not armed
        ]
        if not gone:
            return
        oldest = self._oldest_callback()
        for name in gone:
            record = waiting[name]
            if self._has_no_callback((run.execution, name, record.dispatch), oldest):
                self._arm_again(run, name, record, timers[name])

    def _arm_again(self, run: Run, name: str, seen: NodeRecord, timer: WaitingTimer) -> None:
        key = (run.execution, name)
        unit = self._store.begin(Reading((key,), (run.execution,)))
        if unit.nodes.get(key, UNTOUCHED) != seen:
            unit.abandon()
        elif unit.commit({run.execution: [ArmTimer(timer, seen.until or unit.now)]}) is not None:
            self._found(run.execution, "vanished_timer", 1)

    def _has_no_callback(self, dispatched: Dispatched, oldest_callback: int | None) -> bool:
        """Whether the callback of a task that is gone cannot be in the orchestrator's queue any more.

        It was sent before the task was first found missing, if at all.
        """
        if oldest_callback is None:
            return True
        since = self._missing.setdefault(dispatched, self._store.now())
        return oldest_callback > since + self._clock_margin_ms

    def _dispatch_again(self, plan: Plan, name: str, run: Run, seen: NodeRecord) -> None:
        key = (run.execution, name)
        unit = self._store.begin(Reading((key,), (run.execution,)))
        control = unit.controls.get(run.execution)
        if control is None or not control.lets_dispatch or unit.nodes.get(key, UNTOUCHED) != seen:
            unit.abandon()
            return
        changes = dispatch_again(plan, plan.index[name], seen, run, unit.now)
        if unit.commit({run.execution: changes}) is not None:
            self._found(run.execution, "vanished_message", 1)

    def _found(self, execution: str, what: str, count: int) -> None:
        self.repaired += max(1, count)
        counted.REPAIRS.add(what, by=max(1, count))
        log.error("sweep.repaired", execution_id=execution, what=what, count=count)


def _may_wait(record: NodeRecord, oldest: int | None) -> bool:
    """Whether the message of a queued node may be in its queue, whose oldest message was sent then."""
    return oldest is not None and (record.queued_at or 0) >= oldest - MARGIN_MS


def _corrections(plan: Plan, execution: str, records: Records, unit: Unit, stage: Stage) -> list[Change]:
    """What is wrong with the counters of joins that still decide something, and with the counts."""
    right = {
        (execution, plan.nodes[join].id): counter_of(plan, records, join)
        for join in plan.positions(stage)
        if needs_counter(plan, records, join)
    }
    stored = unit.counters(list(right))
    changes: list[Change] = [
        SetCounter(key[1], value) for key, value in right.items() if stored.get(key) != value
    ]
    counted, counts = count_of(plan, records, stage), unit.counts[execution]
    if (counted.unfinished, counted.failed) != (counts.unfinished, counts.failed):
        changes.append(SetCounts(counted.unfinished, counted.failed))
    return changes


class SweepLoop(threading.Thread):
    """Sweeps when a sweep is due, until `stop` is set. Survives whatever goes wrong in one.

    What lapsed runs have left is looked for at each turn, not only when a sweep is due.
    """

    def __init__(
        self,
        store: SweepStore,
        every_s: float,
        stop: threading.Event,
        *,
        lapsed: LapsedRuns | None = None,
        stop_s: float = STOP_S,
        lease_s: float = LEASE_S,
    ) -> None:
        super().__init__(name="sweep", daemon=True)
        self._store = store
        self._every_s = every_s
        self._stop_event = stop
        self._lapsed = lapsed
        self._sweep = Sweep(store, stop_s=stop_s, lease_s=lease_s)

    def run(self) -> None:
        """Ask now and then whether a sweep is due."""
        if self._lapsed is not None:
            self._lapsed.hold()
        while not self._stop_event.wait(min(POLL_S, self._every_s)):
            try:
                # First, so that an outage or a standstill is noticed by it, whatever else is due.
                if self._lapsed is not None:
                    self._lapsed.turn()
                if self._store.sweep_due(self._every_s):
                    self._sweep.run()
            except FlowEngineError as error:
                log.warning("sweep.failed", error=str(error))
            except Exception:  # the thread's edge: without it nobody here would sweep any more
                log.error("sweep.failed", exc_info=True)
