"""Executions whose deletion was begun and has stopped, though no message of it is left: it is done now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, TypeAlias

from flowengine.engine.advancing.steps.delete_step import DeleteStep
from flowengine.engine.ports import DeletingStore
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.status import is_over

AT_MOST: Final = 500
"""So many are looked at in one sweep."""

Alone: TypeAlias = Callable[[str, Callable[[], bool]], bool]
"""Does what it is given about one execution; False where that fails, which costs no other."""


class UnfinishedStore(DeletingStore, Protocol):
    """State as this asks for it."""

    def deleting(self, skip: int, most: int) -> Sequence[tuple[str, int]]:
        """Executions that are doomed or deleted and since when, in milliseconds, the oldest first."""

    def read_execution(self, execution: str) -> ExecutionRecord | None: ...


class UnfinishedDeletes:
    """Those of one process; the next ones at each turn."""

    def __init__(self, store: UnfinishedStore) -> None:
        self._store = store
        self._step = DeleteStep(store)
        self._skip = 0

    def finish(self, before: int, alone: Alone) -> list[str]:
        """Do what was begun before this time and no message can do any more; returns what was done.

        Raises StoreUnavailableError.
        """
        found = self._store.deleting(self._skip, AT_MOST)
        done = [
            execution
            for execution, at in found
            if at < before and alone(execution, partial(self._is_done, execution, before))
        ]
        self._skip = self._skip + len(found) - len(done) if len(found) == AT_MOST else 0
        return done

    def _is_done(self, execution: str, before: int) -> bool:
        record = self._store.read_execution(execution)
        if record is not None and (not is_over(record.status) or record.finished_at >= before):
            return False
        return self._step.carry_out(execution, None)
