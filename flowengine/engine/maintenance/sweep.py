"""The slow sweep: running executions that have not moved are checked, and mended.

It should never find anything: what it repairs is counted and logged as an error, because something
else has failed to keep its promise. Also prunes the indexes.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

import structlog

from flowengine.engine.advancing.follow_up import Follow, Settler
from flowengine.engine.ports import StateStore
from flowengine.errors import FlowEngineError, StoreUnavailableError
from flowengine.execution import rules
from flowengine.execution.changes import Change, ForgetStart, SetCounter
from flowengine.execution.records import UNTOUCHED, NodeRecord
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()

POLL_S = 5.0
MARGIN_MS = 10_000
CLOCK_MARGIN_MS = 100
CHECKED_AT_MOST = 5000

Attempt: TypeAlias = tuple[str, str, int]
"""Execution, node, attempt."""


class SweepStore(StateStore, Protocol):
    """State, and what only a sweep asks for."""

    def sweep_due(self, every_s: float) -> bool:
        """Whether this process shall sweep now; of several that ask at once, one is told so."""

    def running_executions(self) -> dict[str, int]:
        """The ids of all running executions, and when each was triggered, in milliseconds."""

    def last_moves(self, executions: Sequence[str]) -> dict[str, str]:
        """For each execution, a mark that changes whenever something happens to it."""

    def oldest_entries_ms(self, queues: Sequence[str]) -> dict[str, int | None]:
        """When the oldest message of each queue was sent, looked at in this order; None: it is empty."""

    def forget_running(self, execution: str) -> None:
        """Take an execution that is gone out of the index."""

    def server_now(self) -> int:
        """Redis's time in milliseconds."""

    def prune(self) -> int:
        """Remove what has expired from the indexes; returns how many."""


class Sweep:
    """The sweep of one process; remembers where each execution stood at its last one.

    Looks at no more than CHECKED_AT_MOST executions at a time, the next ones at the next.
    """

    def __init__(self, store: SweepStore) -> None:
        self._store = store
        self._settler = Settler(store)
        self._marks: dict[str, str] = {}
        self._missing: dict[Attempt, int] = {}
        self._reached = ""
        self.repaired = 0

    def run(self) -> int:
        """Sweep once; returns how many things were repaired. Raises StoreUnavailableError."""
        before = self.repaired
        started = self._store.running_executions()
        marks = self._store.last_moves(list(started))
        (oldest,) = self._store.oldest_entries_ms([ORCHESTRATOR_QUEUE]).values()
        stuck = sorted(
            execution
            for execution, mark in marks.items()
            if self._marks.get(execution) == mark and not _waits_its_turn(oldest, started[execution], mark)
        )
        self._marks = marks
        self._missing = {attempt: at for attempt, at in self._missing.items() if attempt[0] in marks}
        for execution in self._next_of(stuck):
            self._check_alone(execution, marks[execution])
        self._store.prune()
        return self.repaired - before

    def _next_of(self, stuck: Sequence[str]) -> list[str]:
        """Those to look at now: the ones after those that were looked at last."""
        after = bisect_right(stuck, self._reached)
        chosen = [*stuck[after:], *stuck[:after]][:CHECKED_AT_MOST]
        self._reached = chosen[-1] if chosen else ""
        return chosen

    def _check_alone(self, execution: str, mark: str) -> None:
        """One execution that cannot be checked does not keep the others from it, nor the pruning."""
        try:
            self._check(execution, mark)
        except StoreUnavailableError:
            raise
        except Exception:
            log.error("sweep.check_failed", execution_id=execution, exc_info=True)

    def _check(self, execution: str, mark: str) -> None:
        plan, meta = self._store.plans_and_metas([execution])[execution]
        if plan is None and meta is None:
            self._store.forget_running(execution)
        if plan is None or meta is None or meta.status != "running":
            return
        (oldest,) = self._store.oldest_entries_ms([ORCHESTRATOR_QUEUE]).values()
        if _waits_its_turn(oldest, meta.started_at, mark):
            return
        stored = self._store.read_nodes(execution, [node.id for node in plan.nodes])
        records = rules.records_of(stored)
        run = rules.Run(execution, meta.run, meta.correlation_id)
        self._check_counters(plan, execution, records)
        positions = rules.ready(plan, records)
        if positions or meta.unfinished <= 0:
            self._found(execution, "ready_nodes", len(positions))
            unopened = run.run == 1 and positions[:1] == plan.roots[:1]
            opening = rules.opening(run.run, meta.started_at) if unopened else None
            follows = [Follow(run, plan, positions, opening)] if positions else []
            self._settler.settle(follows, None, [run])
        self._check_messages(plan, run, {n: r for n, r in stored.items() if r.status == "queued"})

    def _check_counters(self, plan: Plan, execution: str, records: rules.Records) -> None:
        joins = [n for n in plan.nodes if len(n.parents) > 1 and records(n.id).status == "pending"]
        counters = self._store.counters([(execution, node.id) for node in joins])
        if any(
            counters.get((execution, node.id)) != rules.waiting_for(plan, records, node.parents)
            for node in joins
        ):
            self._mend_counters(plan, execution)

    def _mend_counters(self, plan: Plan, execution: str) -> None:
        """Watches every node, so that a completion meanwhile is not overwritten."""
        unit = self._store.begin([(execution, node.id) for node in plan.nodes])
        records = rules.records_of({name: record for (_, name), record in unit.nodes.items()})
        joins = [n for n in plan.nodes if len(n.parents) > 1 and records(n.id).status == "pending"]
        stored = self._store.counters([(execution, node.id) for node in joins])
        changes: list[Change] = [
            SetCounter(node.id, right)
            for node in joins
            if stored.get((execution, node.id)) != (right := rules.waiting_for(plan, records, node.parents))
        ]
        if not changes:
            unit.abandon()
        elif unit.commit({execution: changes}) is not None:
            self._found(execution, "counters", len(changes))

    def _check_messages(self, plan: Plan, run: rules.Run, queued: Mapping[str, NodeRecord]) -> None:
        """Dispatch again those whose message is gone: older than all that its queue still holds.

        The orchestrator's queue is looked at last: a task leaves its own as its callback enters that one.
        """
        queue_of = {name: plan.nodes[plan.index[name]].queue for name in queued}
        oldest = self._store.oldest_entries_ms([*dict.fromkeys(queue_of.values()), ORCHESTRATOR_QUEUE])
        for name, record in queued.items():
            first, sent = oldest[queue_of[name]], record.queued_at or 0
            attempt = (run.execution, name, record.attempt)
            if first is not None and sent >= first - MARGIN_MS:
                self._missing.pop(attempt, None)
            elif self._has_no_callback(attempt, oldest[ORCHESTRATOR_QUEUE]):
                self._dispatch_again(plan, name, run, record)

    def _has_no_callback(self, attempt: Attempt, oldest_callback: int | None) -> bool:
        """Whether the callback of a task that is gone cannot be in the orchestrator's queue any more.

        It was sent before the task was first found missing, if at all.
        """
        if oldest_callback is None:
            return True
        since = self._missing.setdefault(attempt, self._store.server_now())
        return oldest_callback > since + CLOCK_MARGIN_MS

    def _dispatch_again(self, plan: Plan, name: str, run: rules.Run, seen: NodeRecord) -> None:
        unit = self._store.begin([(run.execution, name)])
        record = unit.nodes.get((run.execution, name), UNTOUCHED)
        if record != seen:
            unit.abandon()
            return
        changes: list[Change] = [ForgetStart(name, record.run, record.attempt)]
        changes += rules.dispatch(plan, plan.index[name], record, run, unit.now)
        if unit.commit({run.execution: changes}) is not None:
            self._found(run.execution, "vanished_message", 1)

    def _found(self, execution: str, what: str, count: int) -> None:
        self.repaired += max(1, count)
        log.error("sweep.repaired", execution_id=execution, what=what, count=count)


def _waits_its_turn(oldest: int | None, started_at: int, mark: str) -> bool:
    """Whether the orchestrators are so far behind that what moves it on may still be in their queue."""
    moved = int(mark.split("-")[0]) if mark else started_at
    return oldest is not None and oldest <= max(moved, started_at) + CLOCK_MARGIN_MS


class SweepLoop(threading.Thread):
    """Sweeps when a sweep is due, until `stop` is set. Survives whatever goes wrong in one."""

    def __init__(self, store: SweepStore, every_s: float, stop: threading.Event) -> None:
        super().__init__(name="sweep", daemon=True)
        self._store = store
        self._every_s = every_s
        self._stop_event = stop
        self._sweep = Sweep(store)

    def run(self) -> None:
        """Ask now and then whether a sweep is due."""
        while not self._stop_event.wait(min(POLL_S, self._every_s)):
            try:
                if self._store.sweep_due(self._every_s):
                    self._sweep.run()
            except FlowEngineError as error:
                log.warning("sweep.failed", error=str(error))
            except Exception:  # the thread's edge: without it nobody here would sweep any more
                log.error("sweep.failed", exc_info=True)
