"""An execution is to be deleted: let it be gone for everybody, then remove what is left of it, in steps.

Whatever comes again finds less. What comes for an execution that goes on changes nothing: its end sends
another message.
"""

from __future__ import annotations

from typing import Final

from flowengine.engine.held import Held
from flowengine.engine.ports import Acknowledge, DeletingStore, Reading
from flowengine.errors import ConflictError
from flowengine.execution.messages import DeleteExecution
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.steering.deleting import may_be_deleted, remove

TRIES: Final = 50


class DeleteStep:
    """Carries out the messages of deleted executions."""

    def __init__(self, store: DeletingStore) -> None:
        self._store = store

    def fire(self, held: Held[DeleteExecution]) -> None:
        """Deal with one message. Raises ConflictError, StoreUnavailableError."""
        self.carry_out(held.payload.execution, held.acknowledge)
        held.confirm()

    def carry_out(self, execution: str, acknowledge: Acknowledge | None) -> bool:
        """Remove it, if it is doomed and has ended; then what is left of it. Returns whether it is gone."""
        for _ in range(TRIES):
            unit = self._store.begin(Reading((), (execution,)))
            control = unit.controls.get(execution)
            if control is None:
                unit.abandon()
                break
            if not control.doomed or not may_be_deleted(control.status):
                unit.abandon()
                if acknowledge is not None:
                    self._store.acknowledge(acknowledge)
                return False
            if (
                unit.commit({execution: remove(control, Run(execution, control.run, ""), unit.now)})
                is not None
            ):
                break
        else:
            raise ConflictError(f"execution '{execution}' keeps changing")
        self._store.remove_rest(execution, acknowledge)
        self._store.forget_plan(execution)
        return True
