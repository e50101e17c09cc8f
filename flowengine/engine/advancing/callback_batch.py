"""The first transaction of a batch of callbacks: what it reads, and what it decides.

Decisions are taken one by one on records kept in memory: each one's writes are applied before the
next is taken, or the same callback twice in one batch would count twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import structlog

from flowengine.engine.advancing.follow_up import Follow
from flowengine.engine.ports import NodeKey, Unit
from flowengine.execution import rules
from flowengine.execution.changes import Change, Dispatch, ForgetStart, Write
from flowengine.execution.records import UNTOUCHED, Callback, Completed, Failed, NodeRecord
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()


class Step:
    """The first transaction of a batch: decisions taken one by one on records kept in memory.

    Each decision's writes are applied to the records before the next is taken; the same callback
    twice in one batch would count twice otherwise.
    """

    def __init__(self, unit: Unit, plans: dict[str, Plan | None]) -> None:
        self._unit = unit
        self._plans = plans
        self._records: dict[NodeKey, NodeRecord] = dict(unit.nodes)
        self.changes: dict[str, list[Change]] = defaultdict(list)
        self.runs: dict[str, rules.Run] = {}
        self.joins: dict[NodeKey, None] = {}
        self.later: dict[str, list[int]] = defaultdict(list)
        self.repeated: set[str] = set()
        self.ended: list[rules.Run] = []
        self.complete: list[int] = []
        self.pending_acknowledgements: list[int] = []
        self._room = rules.TRANSACTION_BYTES
        self._verdicts: list[tuple[Callback, rules.Verdict]] = []

    def take(self, callback: Callback, at: int) -> None:
        """Decide on one callback; `at` is its place in the message."""
        plan = self._plans[callback.execution]
        execution = callback.execution
        if plan is None:
            log.warning("callback.orphaned", node_id=callback.node, attempt=callback.attempt)
            self.changes[execution].append(ForgetStart(callback.node, callback.run, callback.attempt))
            self.complete.append(at)
            return
        decision = rules.finish(plan, self._lookup(execution), callback, self._unit.now, self._room)
        self._verdicts.append((callback, decision.verdict))
        self.changes[execution] += decision.changes
        self._remember(execution, decision.changes)
        if decision.verdict == "accepted" and self._concludes(callback):
            self.complete.append(at)
        elif decision.verdict == "accepted" or decision.again:
            self._follow_up(callback, decision, at)
        else:
            self.complete.append(at)

    def _concludes(self, callback: Callback) -> bool:
        """Whether its execution ends with it, which only is looked at where it must (see `concluding`)."""
        meta = self._unit.metas.get(callback.execution)
        if meta is None or meta.run != callback.run or not isinstance(callback.outcome, Completed):
            return False
        end = rules.conclude(meta.status, meta.unfinished - 1, meta.failed, self._unit.now)
        self.changes[callback.execution] += end
        if end:
            self.ended.append(rules.Run(callback.execution, callback.run, callback.correlation_id))
        return bool(end)

    def _follow_up(self, callback: Callback, decision: rules.Decision, at: int) -> None:
        execution = callback.execution
        known = self.runs.get(execution)
        if known is None or known.run < callback.run:
            self.runs[execution] = rules.Run(execution, callback.run, callback.correlation_id)
        if decision.again:
            self.repeated.add(execution)
        self.joins |= dict.fromkeys((execution, name) for name in decision.joins)
        self.later[execution] += decision.later
        done = decision.continues and not decision.joins and not decision.later
        (self.complete if done else self.pending_acknowledgements).append(at)

    @property
    def stale(self) -> int:
        """How many callbacks were too late."""
        return sum(verdict == "stale" and bool(callback.delivery) for callback, verdict in self._verdicts)

    def log(self) -> None:
        """Tell what became of each callback, once it is true."""
        for callback, verdict in self._verdicts:
            _log_verdict(callback, verdict)

    def follows(self, counters: dict[NodeKey, int]) -> list[Follow]:
        """Who may be dispatched now: joins whose counter is 0, and children put off."""
        found: dict[str, list[int]] = defaultdict(list)
        for execution, name in self.joins:
            plan = self._plans[execution]
            if plan is not None and counters.get((execution, name)) == 0:
                found[execution].append(plan.index[name])
        for execution, positions in self.later.items():
            found[execution] += positions
        return [
            Follow(self.runs[execution], plan, tuple(dict.fromkeys(positions)))
            for execution, positions in found.items()
            if positions and (plan := self._plans[execution]) is not None
        ]

    def _lookup(self, execution: str) -> rules.Records:
        return lambda name: self._records.get((execution, name), UNTOUCHED)

    def _remember(self, execution: str, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, Write):
                self._records[execution, change.node] = change.record
            elif isinstance(change, Dispatch):
                self._records[execution, change.task.node] = change.record
                self._room -= len(change.task.config)


def watched(plans: dict[str, Plan | None], callbacks: Sequence[Callback]) -> list[NodeKey]:
    """The nodes that a batch's decisions read."""
    found: dict[NodeKey, None] = {}
    for callback in callbacks:
        plan = plans[callback.execution]
        position = None if plan is None else plan.index.get(callback.node)
        if plan is None or position is None:
            continue
        found[callback.execution, callback.node] = None
        if isinstance(callback.outcome, Failed):
            below: Sequence[int] = plan.descendants(position)
        elif callback.run > 1 and not rules.later_of(plan, position):
            below = [child for child in plan.children[position] if len(plan.nodes[child].parents) == 1]
        else:
            below = ()
        found |= dict.fromkeys((callback.execution, plan.nodes[child].id) for child in below)
    return list(found)


def concluding(plans: dict[str, Plan | None], callbacks: Sequence[Callback]) -> list[str]:
    """The executions that a batch's completions end: those of their one last node.

    Their records are WATCHed with the nodes. Nobody else writes one then: all their other nodes have
    completed.
    """
    found: dict[str, None] = {}
    for callback in callbacks:
        plan = plans[callback.execution]
        if plan is None or plan.sink is None or not isinstance(callback.outcome, Completed):
            continue
        if plan.index.get(callback.node) == plan.sink:
            found[callback.execution] = None
    return list(found)


def _log_verdict(callback: Callback, verdict: rules.Verdict) -> None:
    fields = {
        "execution_id": callback.execution,
        "node_id": callback.node,
        "attempt": callback.attempt,
        "correlation_id": callback.correlation_id,
    }
    if verdict != "accepted" and not callback.delivery:
        log.info("timer.ignored", **fields)
    elif verdict == "stale":
        log.warning("callback.stale", delivery=callback.delivery, **fields)
    elif verdict == "repeated":
        log.info("callback.repeated", delivery=callback.delivery, **fields)
    elif isinstance(callback.outcome, Failed):
        log.warning("node.failed", code=callback.outcome.error.code, **fields)
    else:
        log.debug("node.completed", **fields)
