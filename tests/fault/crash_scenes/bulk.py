"""A pass over one action on many executions: those that have failed run again, each once."""

from __future__ import annotations

from typing import Final

from flowengine.execution.requests.bulk import Bulk
from flowengine.plugin import Context, HandlerError
from tests.fault.crash_scenes.reference import Reference
from tests.support.checks.invariants import check, check_everything
from tests.support.faults import Gate
from tests.support.rigs.harness import plan_of

GRAPH: Final = {"kept": (), "bad": ("kept",)}
FAILED: Final = 2
"""One message deals with so many, another one with the completed one."""


class RerunTogether(Reference):
    """The gate stands from the action on. Each of the executions begins one run more, and the numbers say so;
    what has completed is counted as refused."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, Gate())
        self._gate = gate
        self.harness.bulk_at_once = FAILED
        self.harness.orchestrators[0].assemble()
        self._completing = ""

    def _script(self, context: Context) -> None:
        if context.node_id == "bad" and context.run == 1 and context.execution_id != self._completing:
            raise HandlerError("boom", "failed on purpose")

    def run(self) -> None:
        """The first runs are not struck."""
        harness = self.harness
        failed = [harness.begin(plan_of(GRAPH)) for _ in range(FAILED)]
        self._completing = harness.begin(plan_of(GRAPH))
        harness.drain()
        self._stand(self._gate)
        ids = (*failed, self._completing)
        bulk = Bulk(action="rerun", mode="failed", created_at=0, correlation_id="test", ids=ids)
        self._api(lambda: harness.api.executions.start_bulk(bulk))
        self._to_the_end()
        self._stand(Gate())
        for execution in failed:
            view = harness.api.executions.status(execution)
            assert (view.status, view.run) == ("completed", 2)
            assert check(harness.client, execution).record("kept").run == 1
        assert harness.api.executions.status(self._completing).run == 1
        # One that began though its caller heard nothing of it has done part of it, or all.
        found = {member.decode().split(":")[2] for member in harness.client.scan_iter("fe:bulk:*")}
        views = [harness.api.executions.bulk(each) for each in found]
        assert {(view.status, view.seen) for view in views} == {("finished", FAILED + 1)}
        assert sum(view.done for view in views) == FAILED
        assert sum(view.nodes_reset or 0 for view in views) == FAILED
        assert sum(view.results_reused or 0 for view in views) == FAILED
        check_everything(harness.client)
