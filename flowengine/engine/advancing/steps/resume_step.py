"""An execution goes on after a pause: look at all its nodes, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flowengine.engine.advancing.follow_up import Follow, FollowUp
from flowengine.engine.held import Held
from flowengine.engine.ports import AdvancingStore, Reading
from flowengine.errors import ConflictError
from flowengine.execution.changes import Change
from flowengine.execution.messages import ResumeExecution
from flowengine.execution.records import ExecutionRecord, NodeRecord, is_open_map
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.readiness import decidable, records_of
from flowengine.execution.rules.starting import opening
from flowengine.execution.rules.steering.pausing import children_again, timers_again
from flowengine.execution.status import is_final
from flowengine.workflow.plan import Plan

TRIES: Final = 50


class ResumeStep:
    """Carries out the messages of executions that go on."""

    def __init__(self, store: AdvancingStore, follow_up: FollowUp, look: Callable[[Run, str], None]) -> None:
        """`look`: at the items of an open map."""
        self._look = look
        self._store = store
        self._follow_up = follow_up

    def fire(self, held: Held[ResumeExecution]) -> None:
        """Dispatch what is ready, and arm the timers of what waits. Raises ConflictError,
        StoreUnavailableError.

        What is held again, stopped or of another run is let go of. A look that is repeated finds less.
        """
        message = held.payload
        plan, record = self._store.plans_and_executions([message.execution])[message.execution]
        goes_on = record is not None and record.run == message.run and record.control.lets_dispatch
        if plan is None or record is None or not goes_on:
            self._store.acknowledge(held.acknowledge)
            held.confirm()
            return
        run = Run(message.execution, record.run, record.correlation_id)
        names = plan.names(record.stage)
        stored = self._store.read_nodes(message.execution, names)
        again = timers_again(plan, message.execution, records_of(stored), names)
        self._arm(run, [*again, *children_again(run, records_of(stored), names)])
        for name in [name for name, found in stored.items() if is_open_map(found)]:
            self._look(run, name)
        follows = self._follows(plan, run, record, stored)
        self._follow_up.carry_out(follows, held.acknowledge, [run])
        held.confirm()

    def _follows(
        self, plan: Plan, run: Run, record: ExecutionRecord, stored: dict[str, NodeRecord]
    ) -> list[Follow]:
        positions = decidable(plan, records_of(stored), record.stage)
        # One that was paused before anything was decided has not told of its start.
        touched = any(found.dispatch or is_final(found.status) for found in stored.values())
        unopened = run.run == 1 and record.stage == "main" and not touched
        first = opening(record) if unopened else None
        return [Follow(run, plan, positions, (), first)] if positions else []

    def _arm(self, run: Run, timers: list[Change]) -> None:
        for _ in range(TRIES):
            if not timers:
                return
            unit = self._store.begin(Reading((), (run.execution,)))
            control = unit.controls.get(run.execution)
            if control is None or control.run != run.run or not control.lets_dispatch:
                unit.abandon()
                return
            if unit.commit({run.execution: timers}) is not None:
                return
        raise ConflictError(f"execution '{run.execution}' keeps changing")
