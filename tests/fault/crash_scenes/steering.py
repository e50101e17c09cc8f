"""Passes over executions that are stopped, deleted or steered while a worker runs a node of theirs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Literal

import msgspec

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import ExecutionNotFoundError, StoreUnavailableError, WrongStateError
from flowengine.execution.error_codes import ENDED
from flowengine.execution.requests.bulk import Bulk
from flowengine.execution.rules.steering.overruling import Complete, Fail, Word
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.plan import Plan
from tests.fault.crash_scenes.reference import Reference
from tests.fault.crash_scenes.report import (
    RERUN,
    RUNS,
    STEERED,
    STOPPED,
    STOPPED_SAYS,
    STOPPED_STAGES,
    STOPPER,
    WAITS,
)
from tests.support.checks.invariants import check_everything
from tests.support.checks.reference_model import expected_values
from tests.support.faults import Gate
from tests.support.rigs.harness import plan_of

GIVEN: Final = Complete(msgspec.Raw(b'{"result":40}'))


class Stopped(Reference):
    """One pass over an execution that is stopped while a worker runs one of its nodes, and over the run after
    it. The gate stands from the moment on at which that worker begins, until the execution has ended.

    `by`: a caller who cancels it, or the node `stopper`, which is an `end`: as failed in the first run. Then
    the node that runs needs no thread.
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
        waiting = (RUNS, "last") if ends else ()
        return plan_of(STOPPED, says=STOPPED_SAYS, ends=ends, stages=STOPPED_STAGES, waiting=waiting)

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


class Steered(Stopped):
    """One pass over an execution that operators pause, in which they end nodes, and which they let go on. The
    gate stands from the moment on at which a worker begins `runs`, until nothing waits any more."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate, by="cancelled")

    def _stop(self) -> None:
        """While the node runs, or has been struck before it began."""
        self._has_stopped = True
        harness, worker = self.harness, self.harness.workers[0]
        words: dict[str, Word] = {WAITS: GIVEN, RUNS: GIVEN, "ahead": GIVEN, "gone": Fail()}
        self._steer(lambda: harness.api.executions.pause(self.execution))
        for node, word in words.items():
            self._steer(partial(harness.overrule, self.execution, node, word))
        self._steer(lambda: harness.api.executions.resume(self.execution))
        with contextlib.suppress(StoreUnavailableError):
            worker.runner.stops.deliver(list(worker.runner.running.values()))

    def _steer(self, ask: Callable[[], object]) -> None:
        # A client that asks again may learn that it was heard.
        with contextlib.suppress(WrongStateError):
            self._api(ask)

    def run(self) -> None:
        """Both runs: the second one repeats what an operator has failed."""
        harness = self.harness
        self.execution = harness.begin(plan_of(STEERED, says=STOPPED_SAYS))
        harness.start_executions()
        harness.run_tasks(WAITS)
        harness.deliver(harness.orchestrators[0], *harness.callbacks())
        self._stand(self._gate)
        harness.deliver(harness.workers[0], harness.task_of(RUNS))
        if not self._has_stopped:
            self._stop()
        harness.drain()
        self._stand(Gate())
        self._to_the_end()
        failed = {"gone", "below"}
        expected = {node: "failed" if node in failed else "completed" for node in STEERED}
        assert harness.statuses(self.execution) == expected
        assert harness.results(self.execution)["last"] == 1 + 40 + 40
        check_everything(harness.client)
        harness.trigger(self.execution)
        harness.drain()
        assert set(harness.statuses(self.execution).values()) == {"completed"}
        check_everything(harness.client)
