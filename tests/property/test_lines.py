"""Executions of which few run at once, under everything that can happen to them.

They are triggered, cancelled and deleted in any order; messages come in any order, and again; processes die
or fail at any command. After each step no more run than may, and every invariant holds; in the end all have
run.
"""

from __future__ import annotations

import contextlib
import os
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from flowengine.broker.streams.wire import ACTOR
from flowengine.errors import FlowEngineError
from flowengine.plugin import Context, HandlerError
from flowengine.settings import Settings
from flowengine.workflow.limits.declared import ON_LIMIT, Concurrency, OnLimit
from flowengine.workflow.policy import ExecutionPolicy
from tests.property.machine_book import Crash, crashes, struck
from tests.support.checks.invariants import check_everything, check_moment
from tests.support.checks.reference_model import Says
from tests.support.rigs.harness import Entry, Harness, plan_of, silence
from tests.support.servers.valkey import Valkey

EXAMPLES = int(os.environ.get("FLOWENGINE_FAULT_EXAMPLES", "50"))
PHASES = (Phase.generate, *([Phase.shrink] if "FLOWENGINE_FAULT_SHRINK" in os.environ else []))
STEPS = 40
EXECUTIONS = 4
WINDOW_MS = 3_600_000
OPEN = ("running", "paused", "cancelling")


class LineMachine(RuleBasedStateMachine):
    """Some executions of one workflow, which stand in one line."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._quiet = silence()
        self._quiet.__enter__()
        self.harness = Harness(self.url, settings=Settings(lease_s=60.0))
        self.harness.second_orchestrator()
        self.harness.script = self._script
        self.past: list[Entry] = []
        self.fails: set[str] = set()
        self.executions: list[str] = []
        self.triggered: set[str] = set()
        self.limit = 1
        self.whole = True

    def _script(self, context: Context) -> None:
        if context.execution_id in self.fails and context.run == 1:
            raise HandlerError("boom", "failed on purpose")

    @initialize(
        limit=st.integers(1, 2),
        on_limit=st.sampled_from(ON_LIMIT),
        fails=st.integers(0, 2),
        whole=st.booleans(),
        nodes=st.booleans(),
        rated=st.booleans(),
    )
    def create(
        self, limit: int, on_limit: OnLimit, fails: int, whole: bool, nodes: bool, rated: bool
    ) -> None:
        """Executions of which so many run at once, or so many of their nodes, or both; the first ones
        fail."""
        self.limit = limit
        self.whole = whole or not nodes
        rate = (limit, WINDOW_MS, "k") if rated else None
        says = {name: Says(limit=limit, key="k", tries=2, rate=rate) for name in ("a", "b", "c")}
        overall = ExecutionPolicy(concurrency=Concurrency(limit, on_limit=on_limit) if self.whole else None)
        plan = plan_of({"a": (), "b": ("a",), "c": ()}, overall=overall, says=says if nodes else None)
        self.executions = [self.harness.create(plan) for _ in range(EXECUTIONS)]
        self.fails = set(self.executions[:fails])

    @rule(at=st.integers(0, EXECUTIONS - 1), crash=crashes(20))
    def trigger(self, at: int, crash: Crash) -> None:
        """The first time, or again."""
        self._ask(lambda: self.harness.trigger(self.executions[at]), crash)
        self.triggered.add(self.executions[at])

    @rule(at=st.integers(0, EXECUTIONS - 1), crash=crashes(8))
    def cancel(self, at: int, crash: Crash) -> None:
        """One that runs, one that waits, or one that was never triggered."""
        self._ask(lambda: self.harness.cancel(self.executions[at]), crash)

    @rule(at=st.integers(0, EXECUTIONS - 1), crash=crashes(8), goes_on=st.booleans())
    def hold(self, at: int, crash: Crash, goes_on: bool) -> None:
        """Pause one, or let it go on."""
        executions = self.harness.api.executions
        steer = executions.resume if goes_on else executions.pause
        self._ask(lambda: steer(self.executions[at]), crash)

    @rule()
    def end_starts(self) -> None:
        """A day passes for those that wait to start."""
        self.harness.end_starts()

    @rule()
    def end_pauses(self) -> None:
        """The pauses before other tries are over."""
        self.harness.end_pauses()

    @rule(crash=crashes(8), force=st.booleans())
    def delete(self, crash: Crash, force: bool) -> None:
        """The last one."""
        self._ask(lambda: self.harness.delete(self.executions[-1], force=force), crash)

    @rule(data=st.data(), most=st.integers(1, 8), crash=crashes(30))
    def deliver(self, data: st.DataObject, most: int, crash: Crash) -> None:
        """Some of what waits is dealt with; a process may be struck over the first of it."""
        for _ in range(most):
            waiting = [*self.harness.waiting("orchestrator"), *self.harness.tasks()]
            if not waiting:
                return
            entry = data.draw(st.sampled_from(waiting))
            self.past.append(entry)
            workers = self.harness.workers if entry.queue == "worker" else self.harness.orchestrators
            process = data.draw(st.sampled_from(workers))
            with struck(process, crash):
                self.harness.deliver(process, entry)
            crash = None

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """A message of the past comes once more."""
        old = [entry for entry in self.past if entry.queue == "orchestrator"]
        if old:
            entry = data.draw(st.sampled_from(old))
            stream = self.harness.stream("orchestrator")
            self.harness.client.xadd(stream, {ACTOR: entry.actor.encode(), b"p3": entry.payload})

    @invariant()
    def holds(self) -> None:
        """No more run than may; everything that is stored is right."""
        stored = check_moment(self.harness.client)
        running = [each.id for each in stored if each.status in OPEN]
        assert not self.whole or len(running) <= self.limit, f"{running} run, the limit is {self.limit}"
        flying = [record for each in stored for record in each.nodes.values() if record.turn is not None]
        starts = self.harness.client.zrange("fe:starts:r:k", 0, -1, withscores=True)
        recent = [at for _, at in starts if at > self.harness.now() - WINDOW_MS]
        assert len(recent) <= self.limit, f"{len(recent)} have started, the limit is {self.limit}"
        in_flight = [record for record in flying if record.status == "queued"]
        assert len(in_flight) <= self.limit, f"{len(in_flight)} are in flight, the limit is {self.limit}"

    def teardown(self) -> None:
        """All that was triggered ends, and nobody stands in the line."""
        try:
            for process in (self.harness.api, *self.harness.orchestrators, *self.harness.workers):
                process.reborn()
            self.harness.drain()
            for each in self.executions:
                self._ask(lambda each=each: self.harness.api.executions.resume(each), None)
            self.harness.drain()
            stored = check_everything(self.harness.client)
            left = [each.id for each in stored if each.status in OPEN or each.waits]
            assert not left, f"these never ended: {left}"
            assert not self.harness.client.keys("fe:line:*")
        finally:
            self.harness.client.flushall()
            self.harness.close()
            self._quiet.__exit__(None, None, None)

    def _ask(self, ask: object, crash: Crash) -> None:
        assert callable(ask)
        with struck(self.harness.api, crash), contextlib.suppress(FlowEngineError):
            ask()


@pytest.mark.proves("line-crash")
@pytest.mark.slow
@pytest.mark.timeout(max(120, EXAMPLES * 3))
def test_no_more_run_than_may_and_all_run(valkey: Valkey) -> None:
    """Whatever happens, in whatever order."""
    LineMachine.url = valkey.url
    checked = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(LineMachine, settings=checked)
