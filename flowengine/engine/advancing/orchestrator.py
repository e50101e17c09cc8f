"""What the orchestrator's actors do: start executions, apply callbacks, fire timers.

Each step reads under WATCH, lets the rules decide, and writes in one transaction. The message's
acknowledgement is part of its last transaction: a message is either not yet applied to the end, and
comes again, or applied and gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, assert_never

import structlog

from flowengine.engine.advancing.callback_batch import CallbackBatch
from flowengine.engine.advancing.follow_up import Follow, FollowUp, Opened
from flowengine.engine.advancing.reads import expected, reading_of, reading_of_starts, undecided
from flowengine.engine.advancing.steps.deadline import DeadlineStep
from flowengine.engine.advancing.steps.delete_step import DeleteStep
from flowengine.engine.advancing.steps.map_step import MapStep
from flowengine.engine.advancing.steps.next_try import NextTryStep
from flowengine.engine.advancing.steps.overruled_step import OverruledStep
from flowengine.engine.advancing.steps.resume_step import ResumeStep
from flowengine.engine.advancing.steps.signal_step import SignalStep
from flowengine.engine.advancing.steps.stop_step import STOP_S, StopStep
from flowengine.engine.advancing.steps.wait_over import WaitOverStep
from flowengine.engine.delivering.delivery_step import DeliveryStep
from flowengine.engine.held import PASSING, Held, HeldTogether, unheld
from flowengine.engine.limits.line_step import LineStep
from flowengine.engine.ports import Committed
from flowengine.errors import ConflictError, StoreUnavailableError
from flowengine.execution.messages import (
    Callback,
    CopyResults,
    Deadline,
    DeleteExecution,
    DeliveryAttempted,
    DeliveryDue,
    HooksTimeout,
    KeepChildren,
    LineMoved,
    MapOver,
    NextTry,
    NodeOverruled,
    ResumeExecution,
    RunTimeout,
    SignalKept,
    StartExecution,
    StartsDue,
    StopExecution,
    StopOverdue,
    TendChild,
    TendChildren,
    Timer,
    WaitOver,
)
from flowengine.execution.records import Control
from flowengine.execution.reports import Again, Completed
from flowengine.execution.rules.descent import EVERYTHING
from flowengine.execution.rules.dispatching import SIZES, Run, Sizes
from flowengine.execution.rules.finishing import internal_error
from flowengine.execution.rules.starting import opening
from flowengine.observability.metrics import counted
from flowengine.workflow.plan import Plan

if TYPE_CHECKING:
    from flowengine.engine.advancing.steps.child_step import ChildStep
    from flowengine.engine.forking.copy_step import CopyStep, ForkStore
    from flowengine.engine.limits.standers import LineStore

    class OrchestratorStore(LineStore, ForkStore, Protocol):
        """State as the orchestrator's messages need it."""


log = structlog.stdlib.get_logger()

T = TypeVar("T")

TRIES: Final = 12
LAST_DELIVERY: Final = 5
"""A message that raises each time is let go of at this delivery."""


class Orchestrator:
    """The engine's side of the orchestrator's messages. Thread-safe: it keeps no state. What only stacks with
    child executions or forks need is imported by the first message about one.

    `stale_callbacks` counts the outcomes that came too late to count.
    """

    def __init__(
        self, store: OrchestratorStore, *, lease_s: float, stop_s: float = STOP_S, sizes: Sizes = SIZES
    ) -> None:
        self.stale_callbacks = 0
        self._store = store
        self._sizes = sizes
        self._follow_up = FollowUp(store, sizes)
        self._next_tries = NextTryStep(store, sizes)
        self._signals = SignalStep(store, self._follow_up, sizes)
        self._waits = WaitOverStep(store, sizes, self.finish)
        self._stops = StopStep(
            store, self._follow_up, sizes, stop_ms=int(stop_s * 1000), lease_ms=int(lease_s * 1000)
        )
        self._resumes = ResumeStep(store, self._follow_up, self._look)
        self._deletes = DeleteStep(store)
        self._overruled = OverruledStep(store, self._follow_up)
        self._deliveries = DeliveryStep(store)
        self._maps = MapStep(store, sizes, report=self.finish, stop=self._go_on_stopping)
        self.lines = LineStep(store)
        self._deadlines = DeadlineStep(store, lease_ms=int(lease_s * 1000), report=self.finish)

    @cached_property
    def _children(self) -> ChildStep:
        from flowengine.engine.advancing.steps.child_step import ChildStep

        return ChildStep(self._store, self._sizes, report=self.finish)

    @cached_property
    def _forks(self) -> CopyStep:
        from flowengine.engine.forking.copy_step import CopyStep

        return CopyStep(self._store, self._sizes)

    # -- start_execution

    def start_together(self, held: Sequence[Held[StartExecution]]) -> None:
        """Start small executions, in one transaction; after a conflict or an error one by one."""
        try:
            self._start(held)
        except StoreUnavailableError:
            raise
        except Exception:
            log.warning("execution.batch_failed", size=len(held), exc_info=True)
            for each in held:
                self.start(each, again=True)

    def start(self, held: Held[StartExecution], *, again: bool = False) -> None:
        """Dispatch every pending node whose parents are all completed. `again`: that may have begun."""
        self._or_give_up(
            held, lambda each: self._start([each], again=again), "execution.start_failed_for_good"
        )

    def _start(self, held: Sequence[Held[StartExecution]], *, again: bool = False) -> None:
        reading = reading_of_starts([each.payload for each in held])
        unit, plans = self._store.begin_with_plans(reading)
        follows: list[Follow] = []
        ending: list[Run] = []
        for each in held:
            message = each.payload
            plan, control = plans[message.execution], unit.controls.get(message.execution)
            if plan is None or control is None or control.run != message.run:
                continue
            if not control.lets_decide:
                continue
            run = Run(message.execution, message.run, message.correlation_id)
            positions = self._startable(plan, control, message, again=again or each.delivery > 1)
            if positions and not control.lets_dispatch:
                continue  # it is paused: the message of its resume looks at all of them
            # If the first of the roots is in flight, the events tell of the start.
            unopened = message.run == 1 and positions[:1] == plan.roots[:1]
            first = opening(control) if unopened else None
            if not positions:
                # What was cancelled had completed to its last node, or this run began with the end of it.
                ending.append(run)
            else:
                # What begins again may be below what is skipped; roots depend on nothing.
                completed = EVERYTHING if positions is plan.roots else ()
                follows.append(Follow(run, plan, positions, completed, first))
        together = HeldTogether(held)
        self._follow_up.carry_out(follows, together.acknowledge, ending, Opened(reading, unit))
        together.confirm()
        for follow in follows:
            # Bound, what nobody hears is told in a microsecond, which the proxy takes several of.
            log.bind().info(
                "execution.started",
                execution_id=follow.run.execution,
                correlation_id=follow.run.correlation_id,
                run=follow.run.run,
                nodes=len(follow.plan.main),
                ready=len(follow.positions),
            )

    def _startable(
        self, plan: Plan, control: Control, message: StartExecution, *, again: bool
    ) -> tuple[int, ...]:
        if message.run == 1 and control.closing is None and not (again and plan.policies):
            return plan.roots
        return undecided(self._store, message.execution, plan, control.stage)

    # -- node_finished

    def finish(self, held: Sequence[Held[Callback]]) -> None:
        """Apply callbacks: completions and iterations joined in one transaction, failures each in its own.

        A conflict, or any error but an unreachable store, takes a batch again one by one, so that
        one bad callback cannot hold up the others.
        """
        items = [each for each in held if each.payload.item is not None]
        if items:
            self._maps.finish(items)
            held = [each for each in held if each.payload.item is None]
        if len(held) == 1:
            self._apply_alone(held[0])
            return
        joined = [each for each in held if isinstance(each.payload.outcome, Completed | Again)]
        alone = [each for each in held if not isinstance(each.payload.outcome, Completed | Again)]
        if not self._apply_joined(joined):
            alone = [*joined, *alone]
        for each in alone:
            self._apply_alone(each)

    def _apply_joined(self, joined: Sequence[Held[Callback]]) -> bool:
        """Whether these have been applied together."""
        if len(joined) < 2:
            return False
        try:
            return self._apply(joined, tries=1)
        except PASSING:
            raise
        except Exception:
            log.warning("callback.batch_failed", size=len(joined), exc_info=True)
            return False

    def _apply_alone(self, held: Held[Callback]) -> None:
        callback = held.payload
        try:
            applied = self._apply([held], tries=TRIES)
        except PASSING:
            raise
        except Exception as error:
            if held.delivery < LAST_DELIVERY:
                raise
            log.error("callback.failed_for_good", node_id=callback.node, exc_info=True)
            applied = self._apply([held.of(internal_error(callback, error))], tries=TRIES)
        if not applied:
            raise ConflictError(f"node '{callback.node}' of '{callback.execution}' keeps changing")

    def _apply(self, held: Sequence[Held[Callback]], *, tries: int) -> bool:
        """Whether the callbacks were applied to the end; False after `tries` conflicts."""
        callbacks = [each.payload for each in held]
        executions = dict.fromkeys([callback.execution for callback in callbacks])
        plans = {execution: self._store.plan(execution) for execution in executions}
        reading = reading_of(plans, callbacks, self._sizes)
        for _ in range(tries):
            unit = self._store.begin(reading, commits=True)
            batch = CallbackBatch(unit, reading, plans, self._sizes)
            for each in held:
                batch.take(each)
            settled = HeldTogether(batch.settled)
            acknowledge = settled.acknowledge if batch.settled else None
            ahead = expected(plans, batch.changes, self._sizes)
            committed = unit.commit(batch.changes, acknowledge, ahead)
            if committed is not None:
                settled.confirm()
                batch.log()
                self._follow_up.note_ended(batch.changes, batch.ended)
                self.stale_callbacks += batch.stale
                counted.STALE.add(by=batch.stale)
                self._follow(batch, committed)
                return True
        return False

    def _follow(self, batch: CallbackBatch, committed: Committed) -> None:
        """Dispatch what became ready, end what has ended, acknowledge the rest."""
        if not batch.unsettled:
            return
        unsettled = HeldTogether(batch.unsettled)
        for run, node in batch.open:
            self._look(run, node)
        unknown = [key for key in batch.joins if key not in committed.counters]
        counters = {**committed.counters, **self._store.counters(unknown)}
        over = {execution for execution, left in committed.unfinished.items() if left <= 0}
        over -= {run.execution for run in batch.ended}
        ending = [batch.runs[execution] for execution in over | batch.repeated]
        follows = batch.follows(counters)
        for execution, plan in batch.rechecked.items():
            record = self._store.read_execution(execution) if plan.stages.count else None
            stage = "main" if record is None else record.stage
            if positions := undecided(self._store, execution, plan, stage):
                follows.append(Follow(batch.runs[execution], plan, positions))
        self._follow_up.carry_out(follows, unsettled.acknowledge, ending)
        unsettled.confirm()

    def _look(self, run: Run, node: str) -> None:
        """Send the items of an open map that are due. It may have ended, where nobody has seen to that."""
        end = self._maps.look(run, node)
        if end is not None:
            self.finish([unheld(end)])

    def _go_on_stopping(self, execution: str) -> None:
        """What kept an execution from being stopped has ended."""
        plan, record = self._store.plans_and_executions([execution])[execution]
        if plan is not None and record is not None:
            self._stops.carry_out(plan, execution, record, None)

    # -- timer_fired

    def fire(self, held: Held[Timer]) -> None:
        """A timer is due."""
        self._or_give_up(held, self._fire, "timer.failed_for_good")

    def _fire(self, held: Held[Timer]) -> None:
        match held.payload:
            case Deadline() as deadline:
                self._deadlines.fire(held.of(deadline))
            case NextTry() as next_try if next_try.item is not None:
                self._maps.try_again(held.of(next_try))
            case NextTry() as next_try:
                self._next_tries.fire(held.of(next_try))
            case MapOver() as over:
                self._maps.time_over(held.of(over))
            case WaitOver() as over:
                self._waits.fire(held.of(over))
            case RunTimeout() as timeout:
                self._stops.time_out(held.of(timeout))
            case HooksTimeout() as timeout:
                self._stops.time_out(held.of(timeout))
            case StopOverdue() as overdue:
                self._stops.fire(held.of(overdue))
            case StartsDue() as due:
                self.lines.let_start(held.of(due))
            case DeliveryDue() as due:
                self._deliveries.fire(held.of(due))
            case _ as never:
                assert_never(never)

    # -- stop_execution

    def stop(self, held: Held[StopExecution]) -> None:
        """An execution bears the mark of a stop: end its nodes."""
        self._or_give_up(held, self._stops.fire, "execution.stop_failed_for_good")

    # -- resume_execution

    def resume(self, held: Held[ResumeExecution]) -> None:
        """An execution goes on after a pause."""
        self._or_give_up(held, self._resumes.fire, "execution.resume_failed_for_good")

    # -- delete_execution

    def delete(self, held: Held[DeleteExecution]) -> None:
        """An execution is deleted: remove what is left of it."""
        self._or_give_up(held, self._deletes.fire, "execution.delete_failed_for_good")

    # -- copy_results

    def copy(self, held: Held[CopyResults]) -> None:
        """A fork copies what it reuses."""
        try:
            self._forks.fire(held)
        except PASSING:
            raise
        except Exception:
            if held.delivery < LAST_DELIVERY:
                raise
            log.error("execution.fork_failed_for_good", exc_info=True)
            self._forks.give_up(held, "a defect of FlowEngine kept it from being made; the logs say more")

    # -- node_overruled

    def follow_overruled(self, held: Held[NodeOverruled]) -> None:
        """An operator has ended a node."""
        self._or_give_up(held, self._overruled.fire, "node.overruled_failed_for_good")

    # -- signal_kept

    def bring_signals(self, held: Held[SignalKept]) -> None:
        """A signal was kept, or a node waits for one."""
        self._or_give_up(held, self._signals.fire, "execution.signal_failed_for_good")

    # -- line_moved

    def move_line(self, held: Held[LineMoved]) -> None:
        """Somebody has joined a line, or left it."""
        self._or_give_up(held, self.lines.fire, "line.failed_for_good")

    # -- tend_child, tend_children, keep_children

    def tend_child(self, held: Held[TendChild]) -> None:
        """A node and the child that it stands for are to be brought in line."""
        self._or_give_up(held, self._children.tend, "child.tend_failed_for_good")

    def tend_children(self, held: Held[TendChildren]) -> None:
        """An execution is held: so are its children."""
        self._or_give_up(held, self._children.tend_all, "execution.tend_failed_for_good")

    def keep_children(self, held: Held[KeepChildren]) -> None:
        """All below an execution is to be kept as long as it."""
        self._or_give_up(held, self._children.keep, "execution.keep_failed_for_good")

    # -- delivery_attempted

    def deliver(self, held: Held[DeliveryAttempted]) -> None:
        """A worker has sent an execution's results to its `callback_url`, or has tried to."""
        self._or_give_up(held, self._deliveries.take, "delivery.failed_for_good")

    def _or_give_up(self, held: Held[T], step: Callable[[Held[T]], None], event: str) -> None:
        """Take the step. A message whose step raises each time is let go of in the end.

        What it was to do is left to the sweep. If the message stayed in the queue for ever, it would keep
        the sweep from all else. Raises ConflictError, StoreUnavailableError.
        """
        try:
            step(held)
        except PASSING:
            raise
        except Exception:
            if held.delivery < LAST_DELIVERY:
                raise
            log.error(event, exc_info=True)
            self._store.acknowledge(held.acknowledge)
            held.confirm()
