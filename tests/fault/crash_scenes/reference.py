"""Passes over the reference workflows of the crash points: plain, with rules, with outputs and hooks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

from flowengine.errors import FlowEngineError, WrongStateError
from flowengine.execution.requests.idempotency import (
    AlreadyAnsweredError,
    IdempotentRequest,
    idempotent_request,
)
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.plan import Plan
from tests.fault.crash_scenes.report import (
    DYING,
    FAILING,
    GRAPH,
    HOOKED,
    HOOKED_STAGES,
    HOOKS_OF,
    RULED,
    SAYS,
    SOFT,
    WAITING,
)
from tests.support.checks.invariants import check, check_everything
from tests.support.checks.reference_model import Model, expected_values, final_statuses, run_to_the_end
from tests.support.faults import Gate, ProcessDied
from tests.support.rigs.harness import Harness, plan_of

T = TypeVar("T")


def asked(key: str) -> IdempotentRequest:
    """A request of the client of these scenes."""
    return idempotent_request((), key, ())


class Reference:
    """One pass of the reference workflow over a stack that a gate stops somewhere.

    Half of its nodes need no thread. `quick`: its nodes need one, read nothing and are taken for quick, so
    that they begin unnoted.
    """

    def __init__(self, url: str, gate: Gate, *, quick: bool = False) -> None:
        self.quick = quick
        self.harness = Harness(url, gate=gate)
        if quick:
            self.harness.be_quick()
        self.harness.script = self._script
        self._killed = False
        self._triggers = 0

    def _script(self, context: Context) -> None:
        if context.node_id == FAILING and context.run == 1:
            raise HandlerError("boom", "failed on purpose")
        if context.node_id == DYING and not self._killed:
            self._killed = True
            self.harness.workers[0].line.dead = True

    def run(self) -> None:
        """Both runs, then everything that must hold."""
        execution = self._api(lambda: self._create(self._reference_plan()))
        self._trigger(execution)
        self._to_the_end()
        view = self._api(lambda: self.harness.api.executions.status(execution))
        assert view.status == "failed"
        assert {n.id: n.status for n in view.nodes} == final_statuses(GRAPH, {FAILING}.__contains__)
        check_everything(self.harness.client)
        self._trigger(execution)
        self._to_the_end()
        expected = dict.fromkeys(GRAPH, 1) if self.quick else expected_values(GRAPH)
        assert self._api(lambda: self.harness.results(execution)) == expected
        view = self._api(lambda: self.harness.api.executions.status(execution))
        assert (view.status, view.run) == ("completed", 2)
        assert [stored.id for stored in check_everything(self.harness.client)] == [execution]

    def _reference_plan(self) -> Plan:
        return plan_of(GRAPH, reading=not self.quick, waiting=() if self.quick else WAITING)

    def _create(self, plan: Plan) -> str:
        try:
            made = self.harness.api.executions.create(plan, correlation_id="c", request=asked("create"))
        except AlreadyAnsweredError as before:
            return before.view.execution_id
        return made.execution_id

    def _trigger(self, execution: str) -> None:
        """A client that got no answer asks again, with the same key."""
        self._triggers += 1
        request = asked(f"trigger {self._triggers}")

        def ask() -> None:
            with contextlib.suppress(AlreadyAnsweredError):
                self.harness.api.executions.trigger(execution, correlation_id="c", request=request)

        self._api(ask)

    def _api(self, ask: Callable[[], T]) -> T:
        self.harness.gate.acts()
        for _ in range(2):
            try:
                return ask()
            except WrongStateError:
                raise
            except (FlowEngineError, ProcessDied):
                if self.harness.api.line.dead:
                    self.harness.api.reborn()
        return ask()

    def _to_the_end(self) -> None:
        self.harness.drain()
        running = self.harness.client.zrange("fe:index:running", 0, -1)
        assert not running, "did not end without the sweep"
        for _ in range(2):
            self._loops()
            self.harness.drain()
        assert self.harness.orchestrators[0].sweep.repaired == 0

    def _stand(self, gate: Gate) -> None:
        self.harness.gate = gate
        for process in (self.harness.api, *self.harness.orchestrators, *self.harness.workers):
            process.line.gate = gate

    def _loops(self) -> None:
        """A turn of the timer loop and of the sweep, which survive what strikes them."""
        process = self.harness.orchestrators[0]
        for turn in (process.timers.fire_due, process.sweep.run):
            self.harness.gate.acts()
            try:
                turn()
            except FlowEngineError:
                continue
            except ProcessDied:
                process.reborn()


class Ruled(Reference):
    """The same over a workflow with rules: a branch that is skipped, a join that tries twice, a failure at
    once whose cleanup waits, one that is tolerated, and a node that runs because another fails."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self.plan = plan_of(RULED, says=SAYS)
        self.model = Model(RULED, SAYS)

    def _script(self, context: Context) -> None:
        super()._script(context)
        first = context.node_id == "join" and context.attempt == 1
        if first or context.node_id == SOFT:
            raise HandlerError("boom", "failed on purpose")

    def run(self) -> None:
        """Both runs, each compared with the model."""
        execution = self._api(lambda: self.harness.create(self.plan))
        for failing in ({FAILING, SOFT}, {SOFT}):
            self._trigger(execution)
            self._to_the_end()
            self.model.trigger()
            run_to_the_end(self.model, failing)
            view = self._api(lambda: self.harness.api.executions.status(execution))
            stored = check(self.harness.client, execution)
            assert {name: stored.record(name).status for name in self.model.graph} == self.model.status
            assert view.status == self.model.execution_status
            check_everything(self.harness.client)


class Hooked(Ruled):
    """The same over a workflow with outputs and hooks: it fails first, then completes; a hook fails."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self.plan = plan_of(HOOKED, stages=HOOKED_STAGES)
        self.model = Model(HOOKED, stages=HOOKS_OF)
