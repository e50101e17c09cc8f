"""What the preview of a rerun lists is what the rerun then does, in the execution itself or in a new one.

On random graphs with rules, failures, skips, stops and hooks. `FLOWENGINE_FAULT_SHRINK=1` makes it look for
the shortest way to a failure.
"""

from __future__ import annotations

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flowengine.engine.commands.rerun import RerunAsked, RerunInvalidError, RerunNotPossibleError
from flowengine.errors import WrongStateError
from flowengine.execution.events import Event
from flowengine.execution.rules.dispatching import Sizes
from flowengine.execution.rules.steering.rerunning import RerunMode, Wanted
from flowengine.execution.status import is_final
from flowengine.workflow.stages import OUTPUTS_NODE
from tests.property.examples import share_of_examples
from tests.property.graphs import graphs, sayings, stages, stages_of
from tests.support.checks.invariants import Stored, check, check_everything
from tests.support.checks.reference_model import Graph
from tests.support.rigs.harness import Harness, failing_in, plan_of, silence
from tests.support.servers.valkey import Valkey

FIXTURES: Final = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
PHASES: Final = (Phase.generate, *([Phase.shrink] if "FLOWENGINE_FAULT_SHRINK" in os.environ else []))
RUNS_AGAIN: Final = 3


@st.composite
def wanted(draw: st.DrawFn, graph: Graph) -> Wanted:
    """Any rerun of a graph; a name that no node has now and then."""
    some = st.lists(st.sampled_from([*graph, *graph, "nobody"]), max_size=3, unique=True)
    modes: list[RerunMode] = ["failed", "from", "from", "all"]
    mode = draw(st.sampled_from(modes))
    start_from = draw(some) if mode == "from" else []
    return Wanted(mode, tuple(start_from), tuple(draw(some)))


@pytest.mark.proves("rerun-as-previewed")
@settings(max_examples=share_of_examples(40), suppress_health_check=FIXTURES, phases=PHASES)
@given(graph=graphs(most=8), data=st.data())
def test_what_a_preview_lists_is_what_the_rerun_does(
    valkey: Valkey, graph: Graph, data: st.DataObject
) -> None:
    """Node by node, by what the events tell and by what is stored once the run has ended."""
    hooks = data.draw(stages())
    whole = {**graph, **{node: parents for listed in hooks.values() for node, parents in listed.items()}}
    says = data.draw(sayings(whole)) if data.draw(st.booleans()) else None
    ends = data.draw(st.sets(st.sampled_from(list(graph)), max_size=1)) if says is None else set()
    failing = data.draw(st.sets(st.sampled_from(list(whole)), max_size=3))
    with valkey.connect() as client:
        client.flushall()
    harness = Harness(valkey.url)
    harness.script = failing_in(1, *failing)
    try:
        with silence():
            execution = harness.begin(plan_of(whole, says=says, ends=ends, stages=stages_of(hooks)))
            if data.draw(st.booleans()):
                harness.start_executions()
                harness.cancel(execution)
            harness.drain()
            for _ in range(RUNS_AGAIN):
                _rerun(harness, execution, data.draw(wanted(graph)))
                harness.script = failing_in(0)
    finally:
        harness.close()


def _rerun(harness: Harness, execution: str, asked: Wanted) -> None:
    """Compare a preview with the rerun; what the preview says is not possible is refused, and changes
    nothing."""
    before = check(harness.client, execution)
    executions = harness.api.executions
    try:
        preview = executions.preview_rerun(execution, RerunAsked(asked))
    except WrongStateError:
        assert before.status == "completed"
        return
    run = int(before.control["run"])
    assert preview.run == run
    try:
        begun = executions.rerun(execution, RerunAsked(asked, run))
    except (RerunInvalidError, RerunNotPossibleError):
        assert preview.not_possible
        after = check(harness.client, execution)
        assert (after.control, after.nodes, after.events) == (before.control, before.nodes, before.events)
        return
    assert not preview.not_possible
    listed = (preview.reset, preview.reused, preview.skipped)
    assert (begun.reset, begun.reused, begun.skipped, begun.run) == (*listed, run + 1)
    harness.drain()
    after = check(harness.client, execution)
    check_everything(harness.client)
    _compare(before, after, *map(set, listed))


def _compare(before: Stored, after: Stored, reset: set[str], reused: set[str], skipped: set[str]) -> None:
    """What was reset ran or was decided in this run; what was reused is what it was; what was skipped is."""
    told = _events_of_the_run(after)
    touched = {event.node for event in told if event.kind == "node_reset"} - {OUTPUTS_NODE}
    assert touched == reset | skipped
    assert {event.node for event in told if event.detail == "operator"} == skipped
    names = {node.id for node in after.plan.nodes} - {OUTPUTS_NODE}
    assert (reset | reused | skipped) == names
    for name in reused:
        assert after.record(name) == before.record(name)
        assert after.results.get(name) == before.results.get(name)
    run = int(after.control["run"])
    for name in reset | skipped:
        assert after.record(name).run == run
    assert {name for name in names if after.record(name).skipped == "operator"} >= skipped
    assert all(is_final(after.record(name).status) for name in after.plan.names("main"))


@pytest.mark.proves("fork-as-previewed")
@settings(max_examples=share_of_examples(40), suppress_health_check=FIXTURES, phases=PHASES)
@given(graph=graphs(most=8), data=st.data())
def test_what_a_preview_of_a_new_execution_lists_is_what_that_does(
    valkey: Valkey, graph: Graph, data: st.DataObject
) -> None:
    """Of one that has ended, was stopped or still runs, by its own plan or one in which nodes differ."""
    hooks = data.draw(stages())
    whole = {**graph, **{node: parents for listed in hooks.values() for node, parents in listed.items()}}
    says = data.draw(sayings(whole)) if data.draw(st.booleans()) else None
    failing = data.draw(st.sets(st.sampled_from(list(whole)), max_size=3))
    with valkey.connect() as client:
        client.flushall()
    harness = Harness(valkey.url)
    harness.resize(Sizes(copied_nodes=data.draw(st.integers(1, 4))))
    harness.script = failing_in(1, *failing)
    try:
        with silence():
            origin = harness.begin(plan_of(whole, says=says, stages=stages_of(hooks)))
            _go_some_way(harness, origin, data)
            for _ in range(RUNS_AGAIN):
                _fork(harness, origin, data.draw(wanted(graph)))
                harness.script = failing_in(0)
            harness.drain()
            check_everything(harness.client)
    finally:
        harness.close()


def _go_some_way(harness: Harness, origin: str, data: st.DataObject) -> None:
    """Let it end, or stop it, or let it stand somewhere in its run."""
    way = data.draw(st.sampled_from(["ends", "is cancelled", "runs"]))
    if way != "ends":
        harness.start_executions()
        for _ in range(data.draw(st.integers(0, 4))):
            harness.run_tasks()
            for entry in harness.callbacks():
                harness.deliver(harness.orchestrators[0], entry)
    if way == "is cancelled" and harness.api.executions.status(origin).status == "running":
        harness.cancel(origin)
    if way != "runs":
        harness.drain()


def _fork(harness: Harness, origin: str, asked: Wanted) -> None:
    """Compare a preview with what is made; the origin is as it was when all is copied."""
    executions = harness.api.executions
    try:
        preview = executions.preview_fork(origin, RerunAsked(asked))
    except WrongStateError:
        return
    before = check(harness.client, origin, settled=False)
    try:
        made = executions.fork(origin, RerunAsked(asked, preview.run))
    except (RerunInvalidError, RerunNotPossibleError):
        assert preview.not_possible
        return
    assert not preview.not_possible
    listed = (preview.reset, preview.reused, preview.skipped)
    assert (made.reset, made.reused, made.skipped) == listed
    while copying := [each for each in harness.waiting("orchestrator") if each.actor == "copy_results"]:
        assert harness.deliver(harness.orchestrators[0], *copying[:1])
        check(harness.client, made.execution_id, settled=False)
    same = check(harness.client, origin, settled=False)
    assert (same.control, same.nodes, same.results, same.events) == (
        before.control,
        before.nodes,
        before.results,
        before.events,
    )
    _compare_fork(before, check(harness.client, made.execution_id, settled=False), *map(set, listed))


def _compare_fork(origin: Stored, made: Stored, reset: set[str], reused: set[str], skipped: set[str]) -> None:
    """As it begins: what is reused is there with its result, what is reset is pending, the rest skipped."""
    names = {node.id for node in made.plan.nodes} - {OUTPUTS_NODE}
    assert (reset | reused | skipped) == names
    for name in reused:
        record, there = made.record(name), origin.record(name)
        assert is_final(record.status)
        assert (record.status, record.attempt, record.error) == (there.status, there.attempt, there.error)
        assert made.results.get(name) == origin.results.get(name)
    for name in reset:
        assert made.record(name).status == "pending"
        assert name not in made.results
    for name in skipped:
        assert (made.record(name).status, made.record(name).skipped) == ("skipped", "operator")


def _events_of_the_run(stored: Stored) -> list[Event]:
    begins = [place for place, event in enumerate(stored.events) if event.kind == "execution_started"]
    return stored.events[begins[-1] :]
