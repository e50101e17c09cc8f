"""The pass of the crash points over executions of which one runs at once."""

from __future__ import annotations

import contextlib
from functools import partial

from flowengine.errors import WrongStateError
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.limits.declared import Concurrency
from flowengine.workflow.policy import ExecutionPolicy
from tests.fault.crash_scenes.reference import Reference
from tests.support.checks.invariants import check_everything
from tests.support.faults import Gate
from tests.support.rigs.harness import plan_of


class Lined(Reference):
    """One that fails and is run again, one that is cancelled while it waits, and one that only waits. Never
    does more than one run."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self._first = ""
        self._together = 0

    def _script(self, context: Context) -> None:
        self._together = max(self._together, self.harness.client.zcard("fe:index:running"))
        if context.execution_id == self._first and context.run == 1:
            raise HandlerError("boom", "failed on purpose")

    def run(self) -> None:
        """All to the end, the first one twice."""
        harness = self.harness
        overall = ExecutionPolicy(timeout_ms=60_000, concurrency=Concurrency(1))
        plan = plan_of({"a": ()}, overall=overall)
        found = [self._api(lambda: harness.create(plan)) for _ in range(3)]
        self._first, cancelled, waits = found
        for each in found:
            self._trigger(each)
        # A client that asks again may learn that it was heard.
        with contextlib.suppress(WrongStateError):
            self._api(lambda: harness.cancel(cancelled))
        self._to_the_end()
        assert self._statuses(found) == ["failed", "cancelled", "completed"]
        self._trigger(self._first)
        self._to_the_end()
        assert self._statuses(found) == ["completed", "cancelled", "completed"]
        assert self._together == 1, f"{self._together} ran at once"
        assert not harness.client.keys("fe:line:*")
        check_everything(harness.client)
        assert self._api(lambda: harness.api.executions.status(waits)).run == 1

    def _statuses(self, executions: list[str]) -> list[str]:
        return [self._api(partial(self._status, each)) for each in executions]

    def _status(self, execution: str) -> str:
        return self.harness.api.executions.status(execution).status
