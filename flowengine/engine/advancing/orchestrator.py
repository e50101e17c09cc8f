"""What the orchestrator's actors do: start executions, apply callbacks, fire deadlines.

Each step reads under WATCH, lets the rules decide, and writes in one transaction. The message's
acknowledgement is part of its last transaction: a message is either not yet applied to the end, and
comes again, or applied and gone.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from flowengine.engine.advancing.callback_batch import Step, concluding, watched
from flowengine.engine.advancing.follow_up import Follow, Settler
from flowengine.engine.advancing.read_ahead import expected
from flowengine.engine.ports import Begun, Numbers, Receipt, Sink, StateStore
from flowengine.errors import ConflictError, FlowEngineError, StoreUnavailableError
from flowengine.execution import rules
from flowengine.execution.changes import ArmTimer
from flowengine.execution.records import (
    UNTOUCHED,
    Callback,
    Completed,
    Failed,
    NodeError,
    StartExecution,
    TimerFired,
)
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()

TRIES = 12
LAST_DELIVERY = 5


class Orchestrator:
    """The engine's side of the three orchestrator messages. Thread-safe: it keeps no state.

    `stale_callbacks` counts the outcomes that came too late to count.
    """

    def __init__(self, store: StateStore, *, lease_s: float) -> None:
        self.stale_callbacks = 0
        self._store = store
        self._lease_ms = int(lease_s * 1000)
        self._settler = Settler(store)

    def start_together(self, messages: Sequence[StartExecution], receipt: Receipt) -> None:
        """Start small executions, in one transaction; after a conflict or an error one by one."""
        try:
            self._start(messages, receipt, tuple(range(len(messages))))
        except StoreUnavailableError:
            raise
        except Exception:
            log.warning("execution.batch_failed", size=len(messages), exc_info=True)
            for at, message in enumerate(messages):
                self._start_alone(message, receipt, at)

    def start(self, message: StartExecution, receipt: Receipt) -> None:
        """Dispatch every pending node whose parents are all completed."""
        self._start_alone(message, receipt, 0)

    def _start_alone(self, message: StartExecution, receipt: Receipt, at: int) -> None:
        try:
            self._start([message], receipt, (at,))
        except FlowEngineError:
            raise
        except Exception:
            if receipt.deliveries[at] < LAST_DELIVERY:
                raise
            self._give_up(receipt, at, "execution.start_failed_for_good")

    def _start(self, messages: Sequence[StartExecution], receipt: Receipt, at: tuple[int, ...]) -> None:
        found = self._store.plans_and_metas([message.execution for message in messages])
        follows = []
        for message in messages:
            plan, meta = found[message.execution]
            if plan is None or meta is None or meta.status != "running" or meta.run != message.run:
                continue
            run = rules.Run(message.execution, message.run, message.correlation_id)
            opening = rules.opening(message.run, meta.started_at) if message.run == 1 else None
            follows.append(Follow(run, plan, self._startable(plan, message), opening))
        self._settler.settle(follows, _Acknowledge(receipt, at))
        receipt.confirm(only=at)
        for follow in follows:
            log.info(
                "execution.started",
                execution_id=follow.run.execution,
                correlation_id=follow.run.correlation_id,
                run=follow.run.run,
                nodes=len(follow.plan.nodes),
                ready=len(follow.positions),
            )

    def _startable(self, plan: Plan, message: StartExecution) -> tuple[int, ...]:
        if message.run == 1:
            return plan.roots
        stored = self._store.read_nodes(message.execution, [node.id for node in plan.nodes])
        return rules.ready(plan, rules.records_of(stored))

    def finish(self, callbacks: Sequence[Callback], receipt: Receipt) -> None:
        """Apply callbacks: completions joined in one transaction, failures each in its own.

        A conflict, or any error but an unreachable store, takes a batch again one by one, so that
        one bad callback cannot hold up the others.
        """
        joined = [at for at, callback in enumerate(callbacks) if isinstance(callback.outcome, Completed)]
        alone = [at for at, callback in enumerate(callbacks) if not isinstance(callback.outcome, Completed)]
        if len(joined) > 1:
            try:
                if not self._apply([callbacks[at] for at in joined], receipt, tuple(joined), tries=1):
                    alone = [*joined, *alone]
            except FlowEngineError:
                raise
            except Exception:
                log.warning("callback.batch_failed", size=len(joined), exc_info=True)
                alone = [*joined, *alone]
        else:
            alone = [*joined, *alone]
        for at in alone:
            self._apply_alone(callbacks[at], receipt, at)

    def _apply_alone(self, callback: Callback, receipt: Receipt, at: int) -> None:
        try:
            applied = self._apply([callback], receipt, (at,), tries=TRIES)
        except FlowEngineError:
            raise
        except Exception as error:
            if receipt.deliveries[at] < LAST_DELIVERY:
                raise
            log.error("callback.failed_for_good", node_id=callback.node, exc_info=True)
            applied = self._apply([_internal_error(callback, error)], receipt, (at,), tries=TRIES)
        if not applied:
            raise ConflictError(f"node '{callback.node}' of '{callback.execution}' keeps changing")

    def _apply(
        self, callbacks: Sequence[Callback], receipt: Receipt, at: tuple[int, ...], *, tries: int
    ) -> bool:
        """Whether the callbacks were applied to the end; False after `tries` conflicts."""
        plans = {callback.execution: self._store.plan(callback.execution) for callback in callbacks}
        read, ends = watched(plans, callbacks), concluding(plans, callbacks)
        for _ in range(tries):
            unit = self._store.begin(read, ends, commits=True)
            step = Step(unit, plans)
            for position, callback in zip(at, callbacks, strict=True):
                step.take(callback, position)
            early = _Acknowledge(receipt, tuple(step.complete)) if step.complete else None
            committed = unit.commit(step.changes, early, expected(plans, step.changes))
            if committed is not None:
                receipt.confirm(only=tuple(step.complete))
                step.log()
                self._settler.note_ended(step.changes, step.ended)
                self.stale_callbacks += step.stale
                self._follow(step, committed, receipt)
                return True
        return False

    def _follow(self, step: Step, committed: Numbers, receipt: Receipt) -> None:
        """Dispatch what became ready, end what has ended, acknowledge the rest."""
        rest = tuple(step.pending_acknowledgements)
        if not rest:
            return
        unknown = [key for key in step.joins if key not in committed.counters]
        counters = {**committed.counters, **self._store.counters(unknown)}
        over = {execution for execution, left in committed.unfinished.items() if left <= 0}
        over -= {run.execution for run in step.ended}
        ending = [step.runs[execution] for execution in over | step.repeated]
        self._settler.settle(step.follows(counters), _Acknowledge(receipt, rest), ending)
        receipt.confirm(only=rest)

    def fire(self, message: TimerFired, receipt: Receipt) -> None:
        """A deadline timer: report a timeout, or arm it again where the node is not overdue (yet).

        A report that comes too late changes nothing, and does what a timer that died over its node
        has left undone.
        """
        try:
            self._fire(message, receipt)
        except FlowEngineError:
            raise
        except Exception:
            if receipt.deliveries[0] < LAST_DELIVERY:
                raise
            self._give_up(receipt, 0, "timer.failed_for_good")

    def _fire(self, message: TimerFired, receipt: Receipt) -> None:
        plan = self._store.plan(message.execution)
        position = None if plan is None else plan.index.get(message.node)
        node = None if plan is None or position is None else plan.nodes[position]
        begun = self._store.begun(message.execution, message.node, message.attempt)
        standing = None if node is None or begun is None else self._store.standing(node.queue, begun)
        timeout_ms = 0 if node is None else node.timeout_ms
        key = (message.execution, message.node)
        for _ in range(TRIES):
            unit = self._store.begin([key])
            if not rules.is_in_flight(unit.nodes.get(key, UNTOUCHED), message.attempt):
                unit.abandon()
                self._time_out(message, timeout_ms, begun, unit.now, receipt)
                return
            if begun is None or standing is None:
                # It was given back: its next delivery arms a timer of its own.
                unit.abandon()
                self._store.acknowledge(_Acknowledge(receipt))
                receipt.confirm()
                return
            due = rules.backstop_due(begun.at, timeout_ms, self._lease_ms)
            if rules.is_overdue(due, unit.now, standing):
                unit.abandon()
                self._time_out(message, timeout_ms, begun, unit.now, receipt)
                return
            again = due if due > unit.now else unit.now + self._lease_ms
            armed = ArmTimer(message.node, message.run, message.attempt, again)
            if unit.commit({message.execution: [armed]}, _Acknowledge(receipt)) is not None:
                receipt.confirm()
                return
        raise ConflictError(f"node '{message.node}' of '{message.execution}' keeps changing")

    def _give_up(self, receipt: Receipt, at: int, event: str) -> None:
        """Let go of a message that has failed often enough.

        What it was to do is left to the sweep: for ever in the queue, it would keep the sweep from all else.
        """
        log.error(event, exc_info=True)
        self._store.acknowledge(_Acknowledge(receipt, (at,)))
        receipt.confirm(only=(at,))

    def _time_out(
        self, message: TimerFired, timeout_ms: int, begun: Begun | None, now: int, receipt: Receipt
    ) -> None:
        meta = self._store.read_meta(message.execution)
        correlation_id = "" if meta is None else meta.correlation_id
        began = None if begun is None else begun.at
        self.finish([_timed_out(message, timeout_ms, began, now, correlation_id)], receipt)


class _Acknowledge:
    """Puts the acknowledgement of some payloads of a message into a transaction."""

    def __init__(self, receipt: Receipt, only: tuple[int, ...] | None = None) -> None:
        self._receipt = receipt
        self._only = only

    def __call__(self, sink: Sink) -> None:
        self._receipt.acknowledge(sink, only=self._only)


def _timed_out(
    message: TimerFired, timeout_ms: int, began: int | None, now: int, correlation_id: str
) -> Callback:
    text = f"no answer within timeout_seconds ({timeout_ms / 1000:g} s); its worker hangs or is gone"
    return Callback(
        execution=message.execution,
        run=message.run,
        node=message.node,
        attempt=message.attempt,
        delivery=0,
        started_at=began,
        finished_at=now,
        outcome=Failed(NodeError(code="timeout", message=text)),
        correlation_id=correlation_id,
    )


def _internal_error(callback: Callback, error: Exception) -> Callback:
    message = f"the engine could not apply this node's outcome ({type(error).__name__}); see the logs"
    return Callback(
        execution=callback.execution,
        run=callback.run,
        node=callback.node,
        attempt=callback.attempt,
        delivery=callback.delivery,
        started_at=callback.started_at,
        finished_at=callback.finished_at,
        outcome=Failed(NodeError(code="internal_error", message=message)),
        correlation_id=callback.correlation_id,
    )
