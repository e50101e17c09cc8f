"""Every crash point: stop at the n-th Redis command of any service, in four ways, for every n.

The reference workflow has a diamond with a join, a branch that fails in the first run and is retried
in the second, and a node whose worker dies the first time; it is run once noted and once unnoted. A second
workflow has rules, conditions and retries. In a third one a node hangs until its deadline: there the
orchestrator and its timer loop are stopped, from the deadline on. A fourth one is cancelled, or stopped by an
`end`, while nodes run, wait and are queued, or deleted by force. A fifth one has outputs and hooks of both
kinds. A sixth one is run again once it has completed, from two nodes and without the one below them. A
seventh one has a `callback_url`, whose receiver refuses the results once. Wherever it is struck, each ends,
with the right results, and every invariant holds. The client repeats what it gets no answer to, with the same
idempotency key: what it asks for is done once.

CI tries every point in all four ways, as `just fault` does; `FLOWENGINE_CRASH_POINTS_EVERY=5` tries
every fifth.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, Literal, TypeAlias, TypeVar, get_args

import pytest

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.engine.delivering.ports import Answered, Outgoing
from flowengine.errors import ExecutionNotFoundError, FlowEngineError, StoreUnavailableError, WrongStateError
from flowengine.execution.bulk import Bulk
from flowengine.execution.error_codes import ENDED
from flowengine.execution.idempotency import AlreadyAnsweredError, IdempotentRequest, idempotent_request
from flowengine.execution.rules.rerunning import Wanted
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.plan import Plan
from tests.fault.crash_overdue import Overdue
from tests.fault.crash_report import (
    COUNTED_PASSES,
    DYING,
    FAILING,
    GRAPH,
    HOOKED,
    HOOKED_STAGES,
    HOOKS_OF,
    RERUN,
    RULED,
    RUNS,
    SAYS,
    SERVICES,
    SOFT,
    STOPPED,
    STOPPED_SAYS,
    STOPPED_STAGES,
    STOPPER,
    WAITS,
    Tried,
    failures,
    table,
    told,
)
from tests.support.checks.invariants import check, check_everything
from tests.support.checks.reference_model import (
    Model,
    expected_values,
    final_statuses,
    run_to_the_end,
)
from tests.support.faults import WAYS, Gate, ProcessDied, Way
from tests.support.rigs.harness import Harness, plan_of, silence
from tests.support.servers.valkey import Valkey

T = TypeVar("T")
Scene: TypeAlias = Literal[
    "noted",
    "unnoted",
    "ruled",
    "hooked",
    "overdue",
    "cancelled",
    "ended",
    "deleted",
    "rerun",
    "delivered",
]
STRUCK: Final[dict[Scene, frozenset[str]]] = {
    "overdue": frozenset({"orchestrator"}),
    "ended": frozenset({"orchestrator", "worker"}),
}
"""The services that are struck, where these are not all."""

LANES = 2
EVERY = int(os.environ.get("FLOWENGINE_CRASH_POINTS_EVERY", "1"))


def asked(key: str) -> IdempotentRequest:
    """A request of the client of these scenes."""
    return idempotent_request((), key, ())


class Reference:
    """One pass of the reference workflow over a stack that a gate stops somewhere.

    `quick`: its nodes read nothing and are taken for quick, so that they begin unnoted.
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
        execution = self._api(lambda: self._create(plan_of(GRAPH, reading=not self.quick)))
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


class Delivered(Reference):
    """One run, whose results are refused once and taken then."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self.harness.receiver = self._receive
        self._calls: list[str] = []

    def _receive(self, outgoing: Outgoing) -> Answered:
        self._calls.append(outgoing.webhook_id)
        return Answered(503, "busy", 1) if len(self._calls) == 1 else Answered(200, None, 1)

    def run(self) -> None:
        """The run, and its delivery to the end."""
        harness = self.harness
        plan, url = plan_of({"a": ()}), "https://hooks.example.com/x"
        execution = self._api(lambda: harness.create(plan, callback_url=url))
        self._trigger(execution)
        self._to_the_end()
        assert self._api(lambda: harness.api.executions.status(execution)).status == "completed"
        (shown,) = self._api(lambda: harness.api.executions.deliveries(execution)).items
        assert (shown.state, shown.attempts[-1].status_code) == ("delivered", 200)
        assert set(self._calls) == {f"{execution}-1"}
        assert not harness.client.exists("fe:delivering", "fe:timers:delivery")
        check_everything(harness.client)


class Stopped(Reference):
    """One pass over an execution that is stopped while a worker runs one of its nodes, and over the run after
    it. The gate stands from the moment on at which that worker begins, until the execution has ended.

    `by`: a caller who cancels it, or the node `stopper`, which is an `end`: as failed in the first run.
    """

    def __init__(self, url: str, gate: Gate, *, by: Literal["cancelled", "ended"]) -> None:
        super().__init__(url, Gate())
        self._gate = gate
        self._by = by
        self._has_stopped = False
        self.execution = ""

    def _script(self, context: Context) -> None:
        if context.run == 1 and context.node_id == WAITS:
            raise HandlerError("boom", "failed on purpose")
        if context.run == 1 and context.node_id == STOPPER and self._by == "ended":
            raise HandlerError(ENDED.code, "ended on purpose", permanent=True)
        if context.run == 1 and context.node_id == RUNS and not self._has_stopped:
            self._stop()
            if context.cancelled():
                raise HandlerError("stopped", "as it was asked to")

    def _stop(self) -> None:
        """While the node runs, or has been struck before it began."""
        self._has_stopped = True
        harness, worker = self.harness, self.harness.workers[0]
        if self._by == "cancelled":
            self._cancel()
        else:
            harness.deliver(harness.orchestrators[0], harness.callback_of(STOPPER))
        for entry in harness.waiting("orchestrator"):
            harness.deliver(harness.orchestrators[0], entry)
        with contextlib.suppress(StoreUnavailableError):
            worker.runner.stops.deliver(list(worker.runner.running.values()))

    def _cancel(self) -> None:
        # A client that asks again may learn that it was heard, and that the execution has ended.
        with contextlib.suppress(WrongStateError):
            self._api(lambda: self.harness.cancel(self.execution))

    def run(self) -> None:
        """Both runs: the first one stops, the second completes what it left, or its `end` does."""
        harness = self.harness
        ends = (STOPPER,) if self._by == "ended" else ()
        self.execution = harness.begin(self._plan(ends))
        harness.start_executions()
        harness.run_tasks("done", WAITS)
        harness.deliver(harness.orchestrators[0], *harness.callbacks())
        harness.run_tasks(STOPPER)
        self._stand(self._gate)
        harness.deliver(harness.workers[0], harness.task_of(RUNS))
        if not self._has_stopped:
            self._stop()
        self._to_the_end()
        self._stand(Gate())
        self._judge()
        self._once_more()

    def _once_more(self) -> None:
        harness = self.harness
        harness.trigger(self.execution)
        harness.drain()
        assert harness.api.executions.status(self.execution).status == "completed"
        if self._by == "cancelled":
            assert harness.results(self.execution) == expected_values(STOPPED)
        check_everything(harness.client)

    def _plan(self, ends: Sequence[str]) -> Plan:
        return plan_of(STOPPED, says=STOPPED_SAYS, ends=ends, stages=STOPPED_STAGES)

    def _judge(self) -> None:
        """How the first run has ended. What runs is stopped, unless its worker did not hear of it in time."""
        early = "skipped" if self._by == "ended" else "cancelled"
        expected = {node: {early} for node in STOPPED}
        stopper = "failed" if self._by == "ended" else "completed"
        expected |= {"done": {"completed"}, STOPPER: {stopper}, WAITS: {"cancelled"}}
        expected |= {"queued": {"cancelled"}, RUNS: {"cancelled", "completed"}, "tidy": {"completed"}}
        statuses = self.harness.statuses(self.execution)
        assert not {node: found for node, found in statuses.items() if found not in expected[node]}
        status = self.harness.api.executions.status(self.execution).status
        assert status == ("failed" if self._by == "ended" else "cancelled")
        check_everything(self.harness.client)


class Rerun(Reference):
    """One pass over another run of a completed execution, in which one node is skipped. The gate stands from
    the rerun on. No node says when it runs: what is skipped by hand is all that makes it special."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, Gate())
        self._gate = gate

    def run(self) -> None:
        """The first run completes; then what is below the skipped node is skipped with it."""
        harness = self.harness
        execution = harness.begin(plan_of(RERUN))
        harness.drain()
        self._stand(self._gate)
        asked = RerunAsked(Wanted("from", ("a", "b"), ("left_out",)))
        # A client that asks again may learn that it was heard.
        with contextlib.suppress(WrongStateError):
            self._api(lambda: harness.api.executions.rerun(execution, asked))
        self._to_the_end()
        self._stand(Gate())
        view = harness.api.executions.status(execution)
        assert (view.run, view.status) == (2, "completed")
        skipped = dict.fromkeys(("left_out", "below", "join"), "skipped")
        assert harness.statuses(execution) == {**dict.fromkeys(RERUN, "completed"), **skipped}
        check_everything(harness.client)


class Deleted(Stopped):
    """One pass over an execution that is deleted while a worker runs one of its nodes, over one that was
    never triggered, and over two that go at once: of none a key is left, and the two are counted once."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate, by="cancelled")

    def _cancel(self) -> None:
        self._delete(self.execution, force=True)

    def _delete(self, execution: str, *, force: bool = False) -> None:
        # A client that asks again may learn that it was heard.
        with contextlib.suppress(ExecutionNotFoundError):
            self._api(lambda: self.harness.delete(execution, force=force))

    def _judge(self) -> None:
        """Both go, and nothing of them is left once the messages are dealt with."""
        never, *many = [self.harness.create(plan_of({"a": ()})) for _ in range(3)]
        self._stand(self._gate)
        self._delete(never)
        bulk = Bulk(action="delete", created_at=0, correlation_id="test", ids=tuple(many))
        bulk_id = self._api(lambda: self.harness.api.executions.start_bulk(bulk)).bulk_id
        self._to_the_end()
        self._stand(Gate())
        for execution in (self.execution, never, *many):
            assert not list(self.harness.client.scan_iter(f"fe:x:{execution}:*"))
        view = self.harness.api.executions.bulk(bulk_id)
        assert view.status == "finished"
        # One that began though its caller heard nothing of it has done part of it.
        others = {member.decode().split(":")[2] for member in self.harness.client.scan_iter("fe:bulk:*")}
        done = [self.harness.api.executions.bulk(each).done for each in others]
        assert (view.seen, sum(done)) == (len(many), len(many))
        check_everything(self.harness.client)

    def _once_more(self) -> None:
        with contextlib.suppress(ExecutionNotFoundError):
            self.harness.trigger(self.execution)
            raise AssertionError("it was triggered though it is deleted")


def one_pass(url: str, gate: Gate, scene: Scene) -> str | None:
    """What went wrong, or None."""
    passing: Overdue | Reference
    match scene:
        case "overdue":
            passing = Overdue(url, gate)
        case "ruled":
            passing = Ruled(url, gate)
        case "delivered":
            passing = Delivered(url, gate)
        case "hooked":
            passing = Hooked(url, gate)
        case "deleted":
            passing = Deleted(url, gate)
        case "rerun":
            passing = Rerun(url, gate)
        case "cancelled" | "ended":
            passing = Stopped(url, gate, by=scene)
        case _:
            passing = Reference(url, gate, quick=scene == "unnoted")
    try:
        passing.run()
    except AssertionError as error:
        return told(error)
    finally:
        passing.harness.client.flushall()
        passing.harness.close()
    return None


def try_points(url: str, points: Sequence[tuple[Way, int]], scene: Scene) -> list[Tried]:
    """Strike at each of the points, one pass each."""
    tried = []
    with silence():
        for way, at in points:
            gate = Gate(at=at, way=way)
            wrong = one_pass(url, gate, scene)
            tried.append(Tried(way, at, gate.struck or "nothing: ", wrong))
    return tried


def count_commands(url: str, scene: Scene) -> int:
    """How many commands a pass takes that nothing stops."""
    gate = Gate()
    with silence():
        assert one_pass(url, gate, scene) is None
    return gate.count


@pytest.mark.proves("crash-at-any-command", "skip-cascade-crash", "rerun-crash", "delivery-crash")
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scene", get_args(Scene))
def test_the_workflow_survives_every_crash_point(
    private_valkey: Callable[[], Valkey], capsys: pytest.CaptureFixture[str], scene: Scene
) -> None:
    """No execution is lost, none is wrong, and no invariant is broken, wherever it is stopped: every point,
    in all four ways, in CI as well."""
    urls = [private_valkey().url for _ in range(LANES)]
    commands = min(count_commands(urls[0], scene) for _ in range(COUNTED_PASSES))
    points = [(way, at) for at in range(1, commands + 1, EVERY) for way in WAYS]
    lanes = [points[lane::LANES] for lane in range(LANES)]
    with ProcessPoolExecutor(LANES, mp_context=multiprocessing.get_context("spawn")) as pool:
        tried = [each for lane in pool.map(try_points, urls, lanes, [scene] * LANES) for each in lane]
    with capsys.disabled():
        sys.stdout.write(f"\n{table(f'crash points, {scene}', tried)}\n")
    assert not failures(tried), "\n".join(failures(tried)[:10])
    assert len(tried) == len(points)
    assert {each.service for each in tried} == STRUCK.get(scene, set(SERVICES))
