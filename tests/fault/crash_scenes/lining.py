"""The pass of the crash points over executions of which one runs at once."""

from __future__ import annotations

import contextlib
from functools import partial

from msgspec.structs import replace

from flowengine.errors import WrongStateError
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.limits.declared import Concurrency, NodeConcurrency
from flowengine.workflow.policy import ExecutionPolicy, Policy
from tests.fault.crash_scenes.reference import Reference
from tests.support.checks.invariants import check_everything, check_moment
from tests.support.checks.reference_model import Says
from tests.support.faults import Gate
from tests.support.rigs.harness import plan_of


class Lined(Reference):
    """One that fails and is run again, and one that is cancelled while it waits. Never does more than one
    run, and of its nodes no two are in flight at once."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self._first = ""
        self._together = 0
        self._nodes_together = 0

    def _script(self, context: Context) -> None:
        self._together = max(self._together, self.harness.client.zcard("fe:index:running"))
        stored = check_moment(self.harness.client)
        records = [record for each in stored for record in each.nodes.values()]
        flying = [record for record in records if record.status == "queued" and record.turn is not None]
        self._nodes_together = max(self._nodes_together, len(flying))
        if context.node_id == "a" and context.execution_id == self._first and context.run == 1:
            raise HandlerError("boom", "failed on purpose")

    def run(self) -> None:
        """All to the end, the first one twice."""
        harness = self.harness
        overall = ExecutionPolicy(timeout_ms=60_000, concurrency=Concurrency(1))
        says = dict.fromkeys(("a", "b"), Says(limit=1, key="k"))
        plan = plan_of({"a": (), "b": (), "c": ("a",)}, overall=overall, says=says)
        # A task makes the key of `c`, which comes to the same.
        made = Policy(concurrency=NodeConcurrency(1, "{{ 'k' }}"), late_keys=True)
        plan = replace(plan, policies={**plan.policies, 2: made})
        found = [self._api(lambda: harness.create(plan)) for _ in range(2)]
        self._first, cancelled = found
        for each in found:
            self._trigger(each)
        # A client that asks again may learn that it was heard.
        with contextlib.suppress(WrongStateError):
            self._api(lambda: harness.cancel(cancelled))
        self._to_the_end()
        assert self._statuses(found) == ["failed", "cancelled"]
        self._trigger(self._first)
        self._to_the_end()
        assert self._statuses(found) == ["completed", "cancelled"]
        assert (self._together, self._nodes_together) == (1, 1), "more than one ran at once"
        assert not harness.client.keys("fe:line:*")
        check_everything(harness.client)

    def _statuses(self, executions: list[str]) -> list[str]:
        return [self._api(partial(self._status, each)) for each in executions]

    def _status(self, execution: str) -> str:
        return self.harness.api.executions.status(execution).status
