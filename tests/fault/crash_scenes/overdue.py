"""The crash points' workflow in which a node hangs past its deadline."""

from __future__ import annotations

from typing import Final

from flowengine.errors import FlowEngineError
from flowengine.plugin import Context
from flowengine.settings import Settings
from flowengine.store import keys
from tests.support.checks.invariants import check_everything
from tests.support.checks.reference_model import Graph, expected_values, final_statuses
from tests.support.faults import Gate, ProcessDied
from tests.support.rigs.harness import Harness, plan_of

HANGS: Final = "hangs"
OVERDUE: Final[Graph] = {HANGS: (), "beside": (), "below": (HANGS, "beside"), "apart": ("beside",)}
LONG_LEASE_S: Final = 60.0
TURNS_AT_MOST: Final = 6


class Overdue:
    """One pass over a node that hangs past its deadline, over an orchestrator that a gate stops somewhere."""

    def __init__(self, url: str, gate: Gate) -> None:
        self.gate = gate
        # So long a lease that the worker which hangs keeps its task.
        self.harness = Harness(url, settings=Settings(lease_s=LONG_LEASE_S))
        self.harness.script = self._script

    def _script(self, context: Context) -> None:
        if context.node_id == HANGS and context.run == 1:
            self.harness.workers[0].line.dead = True

    def run(self) -> None:
        """The deadline passes and the node fails; the second run puts it right."""
        harness = self.harness
        execution = harness.begin(plan_of(OVERDUE))
        harness.start_executions()
        task = harness.task_of(HANGS)
        assert not harness.deliver(harness.workers[0], task)
        harness.still_holding(task)
        harness.run_tasks("beside")
        harness.deliver(harness.orchestrators[0], *harness.callbacks())
        harness.run_tasks("apart")
        harness.deliver(harness.orchestrators[0], *harness.callbacks())
        harness.make_overdue(execution, HANGS, 1)
        self._through_the_gate()
        view = harness.api.executions.status(execution)
        assert {n.id: n.status for n in view.nodes} == final_statuses(OVERDUE, {HANGS}.__contains__)
        assert harness.api.executions.results(execution).errors[HANGS].code == "timeout"
        harness.drain()
        check_everything(harness.client)
        harness.trigger(execution)
        harness.drain()
        assert harness.results(execution) == expected_values(OVERDUE)
        check_everything(harness.client)

    def _through_the_gate(self) -> None:
        """The timer loop turns, and messages are dealt with, until the timer has had its effect."""
        harness = self.harness
        harness.gate = harness.orchestrators[0].line.gate = self.gate
        for _ in range(TURNS_AT_MOST):
            process = harness.orchestrators[0]
            self.gate.acts()
            try:
                process.timers.fire_due()
            except FlowEngineError:
                pass
            except ProcessDied:
                process.reborn()
            for entry in harness.waiting("orchestrator"):
                harness.deliver(process, entry)
            if not harness.waiting("orchestrator") and not harness.client.exists(keys.of().deadlines):
                break
        harness.gate = harness.orchestrators[0].line.gate = Gate()
