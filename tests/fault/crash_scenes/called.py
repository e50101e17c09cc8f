"""The pass of the crash points over executions of definitions: through three levels, and one that is nobody's
child."""

from __future__ import annotations

import contextlib

import msgspec

from flowengine.errors import ExecutionNotFoundError
from flowengine.execution.requests.listing import Wanted
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.plan import Plan
from tests.fault.crash_scenes.reference import Reference
from tests.support.checks.invariants import check_everything
from tests.support.child_plans import apply, calls
from tests.support.faults import Gate
from tests.support.group_plans import adds, plan_from

SMALL = "small"


def calling() -> Plan:
    """A workflow that runs `middle`, which runs `inner`, and begins `small`."""
    middle = calls("middle", "middle", ("a",), when="{{ a.result == 1 }}")
    apart = calls("apart", SMALL, ("a",), config={"wait": False, "inputs": {"size": "{{ a.result }}"}})
    last = {"inputs": ["{{ middle.result.sum }}"]}
    return plan_from(
        nodes=[
            adds("a"),
            middle,
            apart,
            {"id": "z", "handler": "sum", "config": last, "dependencies": ["middle", "apart"]},
        ]
    )


class Called(Reference):
    """Two runs of it, and its deletion."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self.plan = calling()

    def _script(self, context: Context) -> None:
        if context.node_id == "deep" and context.run == 1:
            raise HandlerError("boom", "failed on purpose")

    def _apply(self) -> None:
        harness, sum_of_deep = self.harness, {"sum": "{{ deep.result }}"}
        self._api(lambda: apply(harness, "inner", nodes=[adds("deep")], outputs=sum_of_deep))
        middle = {"sum": "{{ inner.result.sum }}"}
        self._api(lambda: apply(harness, "middle", nodes=[calls("inner", "inner")], outputs=middle))
        inputs = {"size": {"type": "integer"}}
        self._api(lambda: apply(harness, SMALL, nodes=[adds("s")], inputs=inputs))

    def run(self) -> None:
        """It fails by its innermost node, goes on from there, and leaves nothing when it is deleted."""
        harness = self.harness
        self._apply()
        execution = self._api(lambda: self._create(self.plan))
        self._trigger(execution)
        self._to_the_end()
        view = self._api(lambda: harness.api.executions.status(execution))
        assert {node.id: node.status for node in view.nodes} == {
            "a": "completed",
            "middle": "failed",
            "apart": "completed",
            "z": "failed",
        }
        check_everything(harness.client)
        self._trigger(execution)
        self._to_the_end()
        found = self._api(lambda: harness.api.executions.results(execution)).results
        assert msgspec.json.decode(found["z"]) == {"result": 2}
        assert len(check_everything(harness.client)) == len(("root", "middle", "inner", SMALL))
        apart = self._api(lambda: harness.api.executions.list(Wanted(name=SMALL), limit=5, cursor="")).items
        assert [msgspec.json.decode(found["apart"])] == [{"result": each.execution_id} for each in apart]
        for each in (execution, apart[0].execution_id):
            with contextlib.suppress(ExecutionNotFoundError):
                self._api(lambda each=each: harness.delete(each))  # type: ignore[misc]
        self._to_the_end()
        left = list(harness.client.scan_iter("fe:x:*"))
        assert left == [], left

    def _to_the_end(self) -> None:
        super()._to_the_end()
        assert not self.harness.client.exists("fe:nested"), "a child did not end without the sweep"
