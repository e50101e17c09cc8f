"""A pass over nodes that repeat: one at once, one that waits between iterations and fails in one of them."""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, HandlerError
from flowengine.settings import Limits
from flowengine.workflow.plan import Plan
from flowengine.workflow.validation import check_document
from tests.fault.crash_scenes.reference import Reference
from tests.support.checks.invariants import check_everything
from tests.support.rigs.harness import registry

FAILING: Final = ".2-waits"
"""What is in the idempotency key of the iteration that fails in the first run."""
TOTAL: Final[JsonValue] = {"inputs": ["{{ previous | default(0) }}", "{{ iteration }}"]}
COLLECTED: Final = {"result": [2, 5], "iterations": 2}
"""What the nodes give: each iteration one more than what the one before gave and its own number."""


def _plan() -> Plan:
    repeat: dict[str, JsonValue] = {"until": "{{ iteration == 2 }}", "collect": True}
    delays: dict[str, JsonValue] = {"delay_seconds": 1, "initial_delay_seconds": 1}
    nodes: list[JsonValue] = [
        {"id": "at_once", "handler": "sum", "config": TOTAL, "repeat": repeat},
        {"id": "waits", "handler": "sum", "config": TOTAL, "repeat": {**repeat, **delays}},
        {
            "id": "last",
            "handler": "sum",
            "config": {"inputs": ["{{ at_once.iterations }}", "{{ waits.iterations }}"]},
            "dependencies": ["at_once", "waits"],
        },
    ]
    plan = check_document({"name": "repeating", "nodes": nodes}, registry(), Limits()).plan
    assert plan is not None
    return plan


class Repeating(Reference):
    """Both runs: the second one goes on with the iteration that has failed. None is lost, and none is done
    twice."""

    def _script(self, context: Context) -> None:
        if context.run == 1 and FAILING in context.idempotency_key:
            raise HandlerError("boom", "failed on purpose")

    def run(self) -> None:
        """The iteration that fails leaves what the one before it has given."""
        harness = self.harness
        execution = self._api(lambda: self._create(_plan()))
        for status in ("failed", "completed"):
            self._trigger(execution)
            self._to_the_end()
            assert self._api(lambda: harness.api.executions.status(execution)).status == status
            check_everything(harness.client)
        results = self._api(lambda: harness.api.executions.results(execution)).results
        for node in ("at_once", "waits"):
            assert msgspec.json.decode(results[node]) == COLLECTED
        assert msgspec.json.decode(results["last"])["result"] == 1 + 2 + 2
