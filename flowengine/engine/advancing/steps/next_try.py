"""A node's pause is over, after a failed attempt or between two iterations: dispatch the node once more."""

from __future__ import annotations

from typing import Final

from flowengine.engine.advancing.reads import expected
from flowengine.engine.held import Held
from flowengine.engine.ports import AdvancingStore, Reading
from flowengine.errors import ConflictError
from flowengine.execution.messages import NextTry
from flowengine.execution.records import UNTOUCHED
from flowengine.execution.rules.dispatching import Run, Sizes
from flowengine.execution.rules.limits.node_turns import go_on_in_turn
from flowengine.execution.rules.waits.waiting_timer import awaits_timer

TRIES: Final = 12


class NextTryStep:
    """Carries out the timers of nodes that wait for their next try or iteration."""

    def __init__(self, store: AdvancingStore, sizes: Sizes) -> None:
        self._store = store
        self._sizes = sizes

    def fire(self, held: Held[NextTry]) -> None:
        """Deal with one timer; one that nobody waits for is let go. Raises ConflictError,
        StoreUnavailableError.

        The transaction that dispatches acknowledges the timer, so that it does so once.
        """
        timer = held.payload
        plan = self._store.plan(timer.execution)
        execution = self._store.read_execution(timer.execution)
        key = (timer.execution, timer.node)
        for _ in range(TRIES):
            unit = self._store.begin(Reading((key,), (timer.execution,)), exact_time=True)
            record, control = unit.nodes.get(key, UNTOUCHED), unit.controls.get(timer.execution)
            waits = awaits_timer(record, timer)
            if plan is None or execution is None or control is None or not waits:
                break
            if not control.lets_dispatch:
                break
            run = Run(timer.execution, control.run, execution.correlation_id)
            changes = {timer.execution: go_on_in_turn(plan, plan.index[timer.node], record, run, unit.now)}
            ahead = expected({timer.execution: plan}, changes, self._sizes)
            if unit.commit(changes, held.acknowledge, ahead) is not None:
                held.confirm()
                return
        else:
            raise ConflictError(f"node '{timer.node}' of '{timer.execution}' keeps changing")
        unit.abandon()
        self._store.acknowledge(held.acknowledge)
        held.confirm()
