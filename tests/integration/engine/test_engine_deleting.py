"""Executions that are deleted: what is gone at once, what is left, what comes meanwhile and afterwards."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from flowengine.engine.maintenance.unfinished_deletes import UnfinishedDeletes
from flowengine.engine.ports import Cursor
from flowengine.errors import ExecutionNotFoundError, WrongStateError
from flowengine.execution.history.places import NOW, START
from flowengine.execution.requests.listing import Wanted
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.steering.deleting import deletion
from flowengine.plugin import Context
from flowengine.queues import GROUP
from flowengine.workflow.policy import ExecutionPolicy
from flowengine.workflow.stages import Stages
from tests.support.checks.invariants import check_everything
from tests.support.checks.reference_model import Says
from tests.support.faults import Gate
from tests.support.rigs.harness import ApiProcess, Entry, Harness, failing_in, plan_of
from tests.support.waiting import wait_until

CHAIN = {"a": (), "b": ("a",)}


def kept(harness: Harness, execution: str) -> list[str]:
    """The keys that there are of an execution, but for those of others that name it."""
    return sorted(key.decode().split(":", 3)[3] for key in harness.client.scan_iter(f"fe:x:{execution}:*"))


def named(harness: Harness, execution: str) -> list[str]:
    """The sorted sets that name an execution."""
    return sorted(
        key.decode()
        for key in harness.client.scan_iter(_type="zset")
        if any(execution.encode() in member for member in harness.client.zrange(key, 0, -1))
    )


def ignored(answer: object) -> None:
    """What is done for its effect."""


def ended(harness: Harness, how: str = "completed") -> str:
    """An execution that has ended so, or is pending."""
    execution = harness.create(plan_of(CHAIN))
    if how == "pending":
        return execution
    harness.script = failing_in(1, *("a" if how == "failed" else ""))
    harness.trigger(execution)
    if how == "cancelled":
        harness.cancel(execution)
    harness.drain()
    assert harness.api.executions.status(execution).status == how
    return execution


def deletions(harness: Harness) -> list[Entry]:
    """The messages that wait and delete."""
    return [entry for entry in harness.waiting("orchestrator") if entry.actor == "delete_execution"]


def is_gone(harness: Harness, execution: str) -> None:
    """Nobody finds it, whatever is asked of it."""
    executions = harness.api.executions
    asked: list[Callable[[], object]] = [
        lambda: executions.status(execution),
        lambda: executions.results(execution),
        lambda: executions.document(execution),
        lambda: executions.events(execution, after=START, limit=5),
        lambda: executions.lines(execution, node=None, attempt=None, after=START, limit=5),
        lambda: executions.trigger(execution, correlation_id="test"),
        lambda: executions.cancel(execution),
        lambda: executions.pause(execution),
        lambda: executions.resume(execution),
        lambda: executions.delete(execution),
        lambda: executions.delete(execution, force=True),
    ]
    for ask in asked:
        with pytest.raises(ExecutionNotFoundError):
            ask()
    (seen,) = executions.look([Cursor(execution, NOW)])
    assert (seen.is_there, seen.ended) == (False, True)
    for wanted in (Wanted(), Wanted(name="test"), Wanted(correlation_id="test"), Wanted(prefix=execution)):
        assert execution not in [item.execution_id for item in executions.list(wanted, limit=50).items]


@pytest.mark.proves("delete-gone-at-once")
@pytest.mark.parametrize("how", ["pending", "completed", "failed", "cancelled"])
def test_an_execution_that_is_deleted_is_gone_at_once(harness: Harness, how: str) -> None:
    """Nobody finds it from the first transaction on; the message takes the rest of it."""
    execution, beside = ended(harness, how), ended(harness)
    assert harness.delete(execution)
    is_gone(harness, execution)
    assert kept(harness, execution) != []
    harness.drain()
    assert (kept(harness, execution), named(harness, execution)) == ([], [])
    assert harness.api.executions.status(beside).status == "completed"
    check_everything(harness.client)


def test_what_is_kept_of_earlier_runs_goes_as_well(harness: Harness) -> None:
    """Attempts, and how each run has ended."""
    execution = ended(harness, "failed")
    harness.trigger(execution)
    harness.drain()
    assert "runs" in kept(harness, execution)
    harness.delete(execution)
    harness.drain()
    assert kept(harness, execution) == []


def test_what_it_was_counted_as_stays(harness: Harness) -> None:
    """Statistics tell of how executions have ended, whatever became of them."""
    execution = ended(harness)
    before = [harness.client.hgetall(key) for key in harness.client.scan_iter("fe:ended:*")]
    harness.delete(execution)
    harness.drain()
    assert [harness.client.hgetall(key) for key in harness.client.scan_iter("fe:ended:*")] == before


def test_those_who_watch_all_are_told(harness: Harness) -> None:
    """The last of its changes says that it is deleted."""
    execution = ended(harness)
    harness.delete(execution)
    (_, fields), *_ = harness.client.xrevrange("fe:changes")
    assert msgspec.json.decode(fields[b"c"])[:2] == [execution, "deleted"]


@pytest.mark.parametrize("held", ["running", "paused", "cancelling"])
def test_what_has_not_ended_is_not_deleted(harness: Harness, held: str) -> None:
    """The refusal says what it is, and what to do."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    if held == "paused":
        harness.api.executions.pause(execution)
    elif held == "cancelling":
        harness.cancel(execution)
    with pytest.raises(WrongStateError, match=f"is {held}; .*cancel it first, or .*force=true"):
        harness.delete(execution)
    if held == "paused":
        harness.api.executions.resume(execution)


def test_a_thousand_nodes_go_in_steps(harness: Harness) -> None:
    """No command names more than a hundred keys."""
    graph = {f"n{number}": () for number in range(1000)}
    execution = harness.begin(plan_of(graph, reading=False))
    harness.cancel(execution)
    harness.drain()
    assert len(kept(harness, execution)) > 1000
    harness.delete(execution)
    harness.client.config_resetstat()
    harness.drain()
    calls = harness.client.info("commandstats")["cmdstat_unlink"]["calls"]
    assert kept(harness, execution) == []
    assert calls >= 10


# -- what comes meanwhile, and afterwards


@pytest.mark.proves("delete-late-worker")
@pytest.mark.parametrize("says", [False, True])
def test_a_worker_that_comes_back_late_brings_nothing_back(harness: Harness, says: bool) -> None:
    """It was given up by a cancel, and reports after the delete: with lines, and without."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()

    def meanwhile(context: Context) -> None:
        if says:
            context.logger.info("still here")
            context.progress(1, 2)
        harness.cancel(execution)
        for entry in harness.waiting("orchestrator"):
            harness.deliver(harness.orchestrators[0], entry)
        harness.end_stops()
        for entry in harness.waiting("orchestrator"):
            harness.deliver(harness.orchestrators[0], entry)
        assert harness.api.executions.status(execution).status == "cancelled"
        harness.delete(execution)
        for entry in deletions(harness):
            harness.deliver(harness.orchestrators[0], entry)

    harness.script = meanwhile
    harness.run_tasks("a")
    assert len(harness.callbacks()) == 1
    harness.drain()
    harness.workers[0].runner.outputs.flush([])
    assert (kept(harness, execution), named(harness, execution)) == ([], [])


@pytest.mark.proves("delete-late-worker")
def test_a_task_that_is_delivered_after_the_delete_is_not_begun(harness: Harness) -> None:
    """Its execution was cancelled while it waited in its queue; the note of its start goes as well."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    (task,) = harness.tasks()
    harness.cancel(execution)
    for entry in harness.waiting("orchestrator"):
        harness.deliver(harness.orchestrators[0], entry)
    harness.delete(execution)
    for entry in deletions(harness):
        harness.deliver(harness.orchestrators[0], entry)
    assert harness.deliver(harness.workers[0], task)
    harness.drain()
    assert harness.workers[0].invoker.calls == []
    assert (kept(harness, execution), named(harness, execution)) == ([], [])


@pytest.mark.proves("delete-late-worker")
def test_a_callback_between_the_delete_and_its_last_step_changes_nothing(harness: Harness) -> None:
    """It comes again, once the execution is gone for everybody and its nodes are still there."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.run_tasks("a")
    (callback,) = harness.callbacks()
    message = harness.client.xrange(harness.stream("orchestrator"), callback.id, callback.id)[0][1]
    assert harness.deliver(harness.orchestrators[0], callback)
    harness.delete(execution)
    harness.client.xadd(harness.stream("orchestrator"), message)
    for entry in harness.callbacks():
        assert harness.deliver(harness.orchestrators[0], entry)
    harness.drain()
    assert (kept(harness, execution), named(harness, execution)) == ([], [])


@pytest.mark.proves("delete-and-trigger")
def test_of_a_delete_and_a_trigger_at_once_one_applies(harness: Harness) -> None:
    """Each falls between the other's reads and its writes, and counts."""
    deleted, triggered = ended(harness, "failed"), ended(harness, "failed")
    other = ApiProcess("api-2", harness)
    harness.api.state.between = lambda: ignored(other.executions.delete(deleted))
    with pytest.raises(ExecutionNotFoundError):
        harness.trigger(deleted)
    harness.api.state.between = lambda: ignored(other.executions.trigger(triggered, correlation_id="test"))
    with pytest.raises(WrongStateError, match="is running"):
        harness.delete(triggered)
    harness.drain()
    other.close()
    assert kept(harness, deleted) == []
    assert harness.api.executions.status(triggered).run == 2


@pytest.mark.proves("delete-again")
def test_a_delete_that_is_sent_or_delivered_again_does_no_harm(harness: Harness) -> None:
    """The second caller is told that it is gone; the message finds less, or nothing."""
    execution = ended(harness)
    harness.delete(execution)
    (entry,) = deletions(harness)
    message = harness.client.xrange(harness.stream("orchestrator"), entry.id, entry.id)[0][1]
    with pytest.raises(ExecutionNotFoundError):
        harness.delete(execution)
    assert harness.deliver(harness.orchestrators[0], entry)
    harness.client.xadd(harness.stream("orchestrator"), message)
    harness.drain()
    assert (kept(harness, execution), named(harness, execution)) == ([], [])


# -- what has not ended


@pytest.mark.proves("delete-ends-first")
@pytest.mark.parametrize("held", ["running", "paused", "cancelling", "waiting"])
def test_a_forced_delete_cancels_and_follows_the_end(harness: Harness, held: str) -> None:
    """It is found until then, and goes with the end, by the message that the end sends."""
    execution = harness.begin(plan_of(CHAIN, says={"a": Says(tries=2)}))
    harness.start_executions()
    if held == "paused":
        harness.api.executions.pause(execution)
    elif held == "cancelling":
        harness.cancel(execution)
    elif held == "waiting":
        harness.script = failing_in(1, "a")
        harness.run_tasks()
        harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert not harness.delete(execution, force=True)
    assert not harness.delete(execution, force=True)
    assert not harness.delete(execution)
    assert harness.api.executions.status(execution).status == "cancelling"
    harness.drain()
    is_gone(harness, execution)
    assert (kept(harness, execution), named(harness, execution)) == ([], [])


@pytest.mark.proves("delete-ends-first")
@pytest.mark.parametrize("verdict", ["completed", "failed", "cancelled"])
def test_a_forced_delete_while_hooks_run(harness: Harness, verdict: str) -> None:
    """It stops them, but for those that clean up after a cancel: these run to their end. Then it goes."""
    graph = {"a": (), "tidy": (), "tidy2": ("tidy",)}
    execution = harness.begin(plan_of(graph, stages=Stages(finally_=2)))
    harness.start_executions()
    harness.script = failing_in(1, *("a" if verdict == "failed" else ""))
    if verdict == "cancelled":
        harness.cancel(execution)
    while "tidy" not in running(harness):
        turn(harness)
    assert not harness.delete(execution, force=True)
    harness.drain()
    called = [call.node_id for call in harness.workers[0].invoker.calls]
    assert ("tidy2" in called) == (verdict == "cancelled")
    assert (kept(harness, execution), named(harness, execution)) == ([], [])


@pytest.mark.proves("delete-ends-first")
def test_a_doomed_execution_is_steered_no_more(harness: Harness) -> None:
    """Not even between its end and the message that deletes it: neither triggered, nor held."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.delete(execution, force=True)
    with pytest.raises(WrongStateError):
        harness.api.executions.pause(execution)
    while not deletions(harness):
        turn(harness)
    assert harness.api.executions.status(execution).status == "cancelled"
    with pytest.raises(WrongStateError, match="is being deleted"):
        harness.trigger(execution)
    assert harness.delete(execution)


@pytest.mark.proves("delete-ends-first")
def test_a_paused_execution_that_a_failure_stops_goes_on_to_its_end(harness: Harness) -> None:
    """Its hooks would wait for a resume, which nobody may send any more."""
    plan = plan_of(
        {"a": (), "b": (), "tidy": ()},
        stages=Stages(finally_=1),
        overall=ExecutionPolicy(stops_on_failure=True),
    )
    execution = harness.begin(plan)
    harness.start_executions()
    harness.api.executions.pause(execution)
    harness.script = failing_in(1, "a")
    harness.run_tasks("a")
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.api.executions.status(execution).status == "paused"
    assert not harness.delete(execution, force=True)
    harness.drain()
    assert kept(harness, execution) == []


@pytest.mark.proves("delete-at-the-end")
@pytest.mark.parametrize("hooked", [False, True])
def test_a_forced_delete_beside_the_last_completion(harness: Harness, hooked: bool) -> None:
    """It falls between the reads and the writes of the transaction that ends the execution."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.run_tasks("a")
    if hooked:
        harness.orchestrators[0].state.between = lambda: ignored(harness.delete(execution, force=True))
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    if not hooked:
        assert harness.delete(execution, force=True)
    harness.drain()
    assert (kept(harness, execution), named(harness, execution)) == ([], [])


@pytest.mark.proves("delete-lost")
@pytest.mark.corrupts
@pytest.mark.parametrize("doomed", [False, True])
def test_the_sweep_finishes_a_delete_whose_message_is_lost(harness: Harness, doomed: bool) -> None:
    """It was gone for everybody already, or has ended and was doomed: no key of it is left."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    if doomed:
        harness.delete(execution, force=True)
        while not deletions(harness):
            turn(harness)
    else:
        harness.drain()
        harness.delete(execution)
    for entry in deletions(harness):
        harness.client.xack(harness.stream("orchestrator"), GROUP, entry.id)
        harness.client.xdel(harness.stream("orchestrator"), entry.id)
    wait_until(lambda: swept(harness) > 0, within_s=20, what="the repair")
    assert (kept(harness, execution), named(harness, execution)) == ([], [])
    assert harness.orchestrators[0].sweep.repaired == 1


def test_the_sweep_leaves_a_delete_alone_whose_message_waits(harness: Harness) -> None:
    """And one that has not ended, whatever its age."""
    waits, doomed = ended(harness), harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.delete(doomed, force=True)
    harness.client.zadd("fe:deleting", {doomed: 1})
    harness.delete(waits)
    for _ in range(2):
        assert swept(harness) == 0
    assert kept(harness, waits) != []
    assert harness.api.executions.status(doomed).status == "cancelling"


def test_the_sweep_leaves_alone_what_has_just_ended(harness: Harness) -> None:
    """It was doomed long ago; its message is on its way."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.delete(execution, force=True)
    harness.client.zadd("fe:deleting", {execution: 1})
    while not deletions(harness):
        turn(harness)
    deletes = UnfinishedDeletes(harness.orchestrators[0].state)
    finished_at = int(harness.client.hget(harness.keys.control(execution), "finished_at"))
    assert deletes.finish(finished_at, lambda _, work: work()) == []
    assert deletes.finish(finished_at + 1, lambda _, work: work()) == [execution]


@pytest.mark.proves("delete-again")
def test_a_delete_cut_anywhere_leaves_nothing(harness: Harness) -> None:
    """Who takes its message over still knows what nodes there were, and what the execution was found by."""
    process, struck, at = harness.orchestrators[0], True, 0
    while struck:
        at += 1
        execution = ended(harness)
        harness.delete(execution)
        gate = process.line.gate = Gate(at=at, way="die_before")
        harness.drain()
        process.line.gate = Gate()
        struck = gate.struck is not None
        assert (kept(harness, execution), named(harness, execution)) == ([], []), gate.struck
    assert at > 5


def test_a_message_for_what_goes_on_deletes_nothing(harness: Harness) -> None:
    """There should be none."""
    execution = harness.begin(plan_of(CHAIN))
    state = harness.orchestrators[0].state
    state.write({execution: [deletion(Run(execution, 1, "test"))]})
    harness.drain()
    assert harness.api.executions.status(execution).status == "completed"


def test_what_nobody_can_read_among_those_to_be_deleted_is_taken_out(harness: Harness) -> None:
    """It holds up no other."""
    harness.client.zadd("fe:deleting", {"what is this": 1})
    swept(harness)
    assert harness.client.zcard("fe:deleting") == 0


def turn(harness: Harness) -> None:
    """Deliver what waits, once."""
    for entry in [*harness.waiting("orchestrator"), *harness.tasks()]:
        process = harness.workers[0] if entry.queue == "worker" else harness.orchestrators[0]
        if entry.actor != "delete_execution":
            harness.deliver(process, entry)


def running(harness: Harness) -> set[str]:
    """The nodes whose tasks wait."""
    return {msgspec.json.decode(entry.payload)["node"] for entry in harness.tasks()}


def swept(harness: Harness) -> int:
    """One sweep; returns how many things it has repaired."""
    return harness.orchestrators[0].sweep.run()
