"""The first transaction of a batch of callbacks: what it decides.

Decisions are taken one by one on records kept in memory: each one's writes are applied before the
next is taken, or the same callback twice in one batch would count twice.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping

import structlog
from msgspec.structs import replace

from flowengine.engine.advancing.follow_up import Follow, following
from flowengine.engine.advancing.reads import names_read
from flowengine.engine.held import Held
from flowengine.engine.ports import NodeKey, Reading, Unit
from flowengine.execution.changes import Change, Dispatch, MarkStop, Write
from flowengine.execution.messages import Callback
from flowengine.execution.records import UNTOUCHED, Control, Counts, NodeRecord
from flowengine.execution.reports import (
    Again,
    ByDeadline,
    ByEvent,
    Child,
    Completed,
    Expanded,
    Failed,
    ItemsEnded,
    KeysMade,
    Skipped,
    Waiting,
    delivery_of,
)
from flowengine.execution.rules.concluding import conclude
from flowengine.execution.rules.decision import Decision, Verdict
from flowengine.execution.rules.dispatching import Run, Sizes
from flowengine.execution.rules.finishing import finish, forget_start
from flowengine.execution.rules.readiness import Records
from flowengine.heuristics import BELOW_AT_FIRST, BELOW_GROWS
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()


class UnreadError(AssertionError):
    """A rule asked for a record that nobody has read."""


class CallbackBatch:
    """Decisions about callbacks, and the changes that one transaction makes of them."""

    def __init__(self, unit: Unit, reading: Reading, plans: Mapping[str, Plan | None], sizes: Sizes) -> None:
        self.changes: dict[str, list[Change]] = defaultdict(list)
        self.runs: dict[str, Run] = {}
        self.ended: list[Run] = []
        self.stale = 0
        """How many workers' outcomes were too late."""
        self.settled: list[Held[Callback]] = []
        """What is dealt with to the end by the first transaction."""
        self.unsettled: list[Held[Callback]] = []
        """What is acknowledged once its follow-up is done."""
        self.joins: dict[NodeKey, None] = {}
        self.repeated: set[str] = set()
        self.rechecked: dict[str, Plan] = {}
        """Executions of which all that may follow is looked at again: a process may have died over it."""
        self.open: list[tuple[Run, str]] = []
        """Maps whose items are to be looked at."""
        self._unit = unit
        self._plans = plans
        self._sizes = sizes
        self._bytes_left = sizes.transaction_bytes
        self._records: dict[NodeKey, NodeRecord] = dict(unit.nodes)
        self._read = names_read(reading.nodes)
        self._later: dict[str, list[int]] = defaultdict(list)
        self._counts: dict[str, Counts] = dict(unit.counts)
        self._controls: dict[str, Control] = dict(unit.controls)
        self._verdicts: list[tuple[Callback, Verdict]] = []

    def take(self, held: Held[Callback]) -> None:
        """Decide on one callback."""
        callback = held.payload
        execution = callback.execution
        plan, control = self._plans[execution], self._controls.get(execution)
        if plan is None or control is None:
            log.warning("callback.orphaned", node_id=callback.node, attempt=callback.attempt)
            self.changes[execution] += forget_start(callback)
            self.settled.append(held)
            return
        decision = self._decide(plan, control, callback)
        self._verdicts.append((callback, decision.verdict))
        if decision.verdict == "stale" and not isinstance(callback.by, ByDeadline | ByEvent):
            self.stale += 1
        self.changes[execution] += decision.changes
        self._remember(plan, execution, decision)
        if decision.open:
            self.open.append((Run(execution, callback.run, callback.correlation_id), callback.node))
            self.unsettled.append(held)
        elif decision.verdict == "accepted" and self._concludes(plan, callback):
            self.settled.append(held)
        elif decision.verdict == "accepted" or decision.again:
            self._follow_up(held, decision)
        else:
            self.settled.append(held)

    def _decide(self, plan: Plan, control: Control, callback: Callback) -> Decision:
        """Decide, and read and WATCH more of what is below until the decision holds."""
        execution = callback.execution
        records = self._lookup(execution)
        most = BELOW_AT_FIRST
        while True:
            decision = finish(
                plan,
                control,
                records,
                callback,
                self._unit.now,
                self._sizes,
                self._bytes_left,
                self._read[execution],
            )
            if not decision.unread:
                return decision
            fresh = [(execution, name) for name in decision.unread[:most]]
            self._unit.extend(fresh)
            self._read[execution].update(decision.unread[:most])
            for key in fresh:
                if key in self._unit.nodes:
                    self._records.setdefault(key, self._unit.nodes[key])
            most *= BELOW_GROWS

    def _concludes(self, plan: Plan, callback: Callback) -> bool:
        """Whether its execution ends with it, which is looked at only where its counts were read.

        Where something may follow the main nodes, that is left to the follow-up.
        """
        execution = callback.execution
        counts = self._counts.get(execution)
        if counts is None or plan.stages.count:
            return False
        control = self._controls.get(execution)
        if control is None or control.run != callback.run:
            return False
        run = Run(execution, callback.run, callback.correlation_id)
        end = conclude(plan, run, control, counts, self._unit.now)
        self.changes[execution] += end
        if end:
            self.ended.append(run)
        return bool(end)

    def _follow_up(self, held: Held[Callback], decision: Decision) -> None:
        callback = held.payload
        execution = callback.execution
        known = self.runs.get(execution)
        if known is None or known.run < callback.run:
            self.runs[execution] = Run(execution, callback.run, callback.correlation_id)
        if decision.again:
            self.repeated.add(execution)
            plan = self._plans[execution]
            # In a later run something may have been skipped by hand, or have failed before.
            if plan is not None and (plan.policies or plan.stages.count or callback.run > 1):
                self.rechecked[execution] = plan
        for name in decision.joins:
            self.joins[execution, name] = None
        self._later[execution] += decision.later
        done = decision.continues and not decision.joins and not decision.later
        (self.settled if done else self.unsettled).append(held)

    def log(self) -> None:
        """Tell what became of each callback, once it is true."""
        says_all = log.bind().is_enabled_for(logging.DEBUG)
        for callback, verdict in self._verdicts:
            if verdict == "accepted" and type(callback.outcome) is Completed and not says_all:
                continue  # most are, and to say so takes its time even where nobody hears it
            _log_verdict(callback, verdict)

    def follows(self, counters: Mapping[NodeKey, int]) -> list[Follow]:
        """What to look at now: joins that are due by their counters, and children put off."""
        joins: dict[str, dict[str, int | None]] = defaultdict(dict)
        for execution, name in self.joins:
            joins[execution][name] = counters.get((execution, name))
        found = []
        for execution, run in self.runs.items():
            plan = self._plans[execution]
            if plan is not None:
                follow = following(run, plan, joins[execution], self._later[execution])
                found += [] if follow is None else [follow]
        return found

    def _lookup(self, execution: str) -> Records:
        read, records = self._read[execution], self._records

        def lookup(name: str) -> NodeRecord:
            if name not in read:
                raise UnreadError(f"'{name}' of '{execution}' is decided on and was not read")
            return records.get((execution, name), UNTOUCHED)

        return lookup

    def _remember(self, plan: Plan, execution: str, decision: Decision) -> None:
        for change in decision.changes:  # `isinstance` takes its time to say no, of a struct
            if type(change) is Dispatch:
                self._records[execution, change.task.node] = change.record
                self._bytes_left -= plan.weights[plan.index[change.task.node]]
            elif type(change) is Write:
                self._records[execution, change.node] = change.record
            elif type(change) is MarkStop:
                # What is decided after it in this transaction goes by it.
                marked = replace(self._controls[execution], status=change.status, stop=change.stop)
                self._controls[execution] = marked
        counts = self._counts.get(execution)
        if counts is not None:
            tally = decision.tally
            self._counts[execution] = Counts(
                counts.unfinished + tally.unfinished, counts.failed + tally.failed, counts.bytes
            )


def _log_verdict(callback: Callback, verdict: Verdict) -> None:
    fields = {
        "execution_id": callback.execution,
        "node_id": callback.node,
        "attempt": callback.attempt,
        "correlation_id": callback.correlation_id,
    }
    if verdict == "accepted" and isinstance(callback.outcome, Completed):
        log.debug("node.completed", **fields)
    elif verdict != "accepted" and isinstance(callback.by, ByDeadline | ByEvent):
        log.info("timer.ignored", **fields)
    elif verdict == "stale":
        log.warning("callback.stale", delivery=delivery_of(callback.by), **fields)
    elif verdict == "repeated":
        log.info("callback.repeated", delivery=delivery_of(callback.by), **fields)
    elif isinstance(callback.outcome, Failed):
        log.warning("node.failed", code=callback.outcome.error.code, **fields)
    elif isinstance(callback.outcome, Skipped):
        log.info("node.skipped", reason="when", **fields)
    elif isinstance(callback.outcome, Waiting):
        log.info("node.waiting", waits_for=callback.outcome.kind, **fields)
    elif isinstance(callback.outcome, Again):
        log.debug("node.iterated", **fields)
    elif isinstance(callback.outcome, Child):
        log.debug("node.opened", **fields)
    elif isinstance(callback.outcome, KeysMade):
        log.debug("node.keys_made", **fields)
    elif isinstance(callback.outcome, Expanded):
        log.debug("node.expanded", **fields)
    elif isinstance(callback.outcome, ItemsEnded):
        log.debug("node.items_ended", **fields)
    else:
        log.info("node.cancelled", **fields)
