"""The time of a node is over that waits: call its handler again, or report that its wait has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from flowengine.engine.advancing.reads import expected
from flowengine.engine.held import Held
from flowengine.engine.ports import AdvancingStore, Reading
from flowengine.errors import ConflictError
from flowengine.execution.messages import Callback, WaitOver
from flowengine.execution.records import UNTOUCHED
from flowengine.execution.rules.dispatching import Run, Sizes
from flowengine.execution.rules.limits.node_turns import call_again_in_turn
from flowengine.execution.rules.waits.time_over import calls_again, time_over
from flowengine.execution.rules.waits.waiting_timer import awaits_timer

TRIES: Final = 12


class WaitOverStep:
    """Carries out the timers of nodes that wait. `report` applies the callback that tells of an end.

    A report that comes too late changes nothing, and does what a timer that died over its node has left
    undone.
    """

    def __init__(
        self, store: AdvancingStore, sizes: Sizes, report: Callable[[Sequence[Held[Callback]]], None]
    ) -> None:
        self._store = store
        self._sizes = sizes
        self._report = report

    def fire(self, held: Held[WaitOver]) -> None:
        """Deal with one timer. While its execution is paused it is let go of: the resume arms it again.

        Raises ConflictError, StoreUnavailableError.
        """
        timer = held.payload
        plan = self._store.plan(timer.execution)
        execution = self._store.read_execution(timer.execution)
        position = None if plan is None else plan.index.get(timer.node)
        key = (timer.execution, timer.node)
        for _ in range(TRIES):
            unit = self._store.begin(Reading((key,), (timer.execution,)), exact_time=True)
            record, control = unit.nodes.get(key, UNTOUCHED), unit.controls.get(timer.execution)
            waits = awaits_timer(record, timer)
            if plan is None or position is None or execution is None or control is None:
                break
            if waits and not control.lets_dispatch:
                break
            if not (waits and calls_again(record)):
                unit.abandon()
                policy, said = plan.policy(position), execution.correlation_id
                # Of one dispatch it never changes, and the report counts for this one only.
                response = self._store.response(*key) if timer.waits == "callback" else None
                self._report([held.of(time_over(policy, timer, record, unit.now, said, response))])
                return
            run = Run(timer.execution, control.run, execution.correlation_id)
            changes = {timer.execution: call_again_in_turn(plan, position, record, run, unit.now)}
            ahead = expected({timer.execution: plan}, changes, self._sizes)
            if unit.commit(changes, held.acknowledge, ahead) is not None:
                held.confirm()
                return
        else:
            raise ConflictError(f"node '{timer.node}' of '{timer.execution}' keeps changing")
        unit.abandon()
        self._store.acknowledge(held.acknowledge)
        held.confirm()
