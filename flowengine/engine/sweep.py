"""The slow sweep: running executions that have not moved are checked, and mended.

It should never find anything: what it repairs is counted and logged as an error, because something
else has failed to keep its promise. Also prunes the indexes.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

import structlog

from flowengine.engine.ports import MetaView, StateStore
from flowengine.engine.settling import Follow, Settler
from flowengine.errors import FlowEngineError, StoreUnavailableError
from flowengine.execution import rules
from flowengine.execution.changes import Change, ForgetStart, SetCounter
from flowengine.execution.model import UNTOUCHED, NodeRecord
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()

POLL_S = 5.0
MARGIN_MS = 10_000
CLOCK_MARGIN_MS = 100
ORCHESTRATOR_QUEUE = "orchestrator"


class SweepStore(StateStore, Protocol):
    """State, and what only a sweep asks for."""

    def sweep_due(self, every_s: float) -> bool:
        """Whether this process shall sweep now; of several that ask at once, one is told so."""

    def running_executions(self) -> list[str]:
        """The ids of all running executions."""

    def last_moves(self, executions: Sequence[str]) -> dict[str, str]:
        """For each execution, a mark that changes whenever something happens to it."""

    def oldest_entry_ms(self, queue: str) -> int | None:
        """When the oldest message of a queue was sent; None: the queue is empty."""

    def prune(self) -> int:
        """Remove what has expired from the indexes; returns how many."""


class Sweep:
    """The sweep of one process; remembers where each execution stood at its last one."""

    def __init__(self, store: SweepStore) -> None:
        self._store = store
        self._settler = Settler(store)
        self._marks: dict[str, str] = {}
        self.repaired = 0

    def run(self) -> int:
        """Sweep once; returns how many things were repaired. Raises StoreUnavailableError."""
        before = self.repaired
        marks = self._store.last_moves(self._store.running_executions())
        stuck = [(execution, mark) for execution, mark in marks.items() if self._marks.get(execution) == mark]
        self._marks = marks
        for execution, mark in stuck:
            self._check_alone(execution, mark)
        self._store.prune()
        return self.repaired - before

    def _check_alone(self, execution: str, mark: str) -> None:
        """One execution that cannot be checked does not keep the others from it, nor the pruning."""
        try:
            self._check(execution, mark)
        except StoreUnavailableError:
            raise
        except Exception:
            log.error("sweep.check_failed", execution_id=execution, exc_info=True)

    def _check(self, execution: str, mark: str) -> None:
        plan, meta = self._store.plan(execution), self._store.read_meta(execution)
        if plan is None or meta is None or meta.status != "running":
            return
        if self._waits_its_turn(meta, mark):
            return
        stored = self._store.read_nodes(execution, [node.id for node in plan.nodes])
        records = rules.records_of(stored)
        run = rules.Run(execution, meta.run, meta.correlation_id)
        self._mend_counters(plan, execution)
        positions = rules.ready(plan, records)
        if positions or meta.unfinished <= 0:
            self._found(execution, "ready_nodes", len(positions))
            unopened = run.run == 1 and positions[:1] == plan.roots[:1]
            opening = rules.opening(run.run, meta.started_at) if unopened else None
            follows = [Follow(run, plan, positions, opening)] if positions else []
            self._settler.settle(follows, None, [run])
        for name, record in stored.items():
            if record.status == "queued" and self._vanished(plan, name, record):
                self._dispatch_again(plan, name, run, record)

    def _waits_its_turn(self, meta: MetaView, mark: str) -> bool:
        """Whether the orchestrators are so far behind that what moves it on may still be in their queue."""
        oldest = self._store.oldest_entry_ms(ORCHESTRATOR_QUEUE)
        moved = int(mark.split("-")[0]) if mark else meta.started_at
        return oldest is not None and oldest <= max(moved, meta.started_at) + CLOCK_MARGIN_MS

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

    def _vanished(self, plan: Plan, name: str, record: NodeRecord) -> bool:
        """Whether a queued node's message is gone: it is older than all that its queue still holds."""
        oldest = self._store.oldest_entry_ms(plan.nodes[plan.index[name]].queue)
        callbacks = self._store.oldest_entry_ms(ORCHESTRATOR_QUEUE)
        sent = record.queued_at or 0
        return (oldest is None or sent < oldest - MARGIN_MS) and callbacks is None

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
