"""Reruns of ended executions against all that may happen at the same time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec
import pytest

from flowengine.access.acting import Note, acting
from flowengine.access.records import Actor
from flowengine.engine.commands.rerun import RerunAsked, RerunInvalidError, RerunNotPossibleError
from flowengine.errors import RerunOvertakenError, StoreUnavailableError, WrongStateError
from flowengine.execution.history.places import START
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.views.executions import RerunView
from flowengine.jsonvalue import JsonValue
from flowengine.queues import GROUP
from flowengine.settings import Limits
from flowengine.workflow import check_document
from flowengine.workflow.inputs.values import InputsInvalidError
from tests.support.checks.invariants import CheckEverything
from tests.support.checks.reference_model import Graph
from tests.support.faults import WAYS, Gate, ProcessDied, Way
from tests.support.rigs.harness import ApiProcess, Harness, failing_in, plan_of, registry

GRAPH: Graph = {"a": (), "b": ("a",), "c": ("b",), "other": (), "join": ("c", "other")}
FROM_B = RerunAsked(Wanted("from", ("b",)))


@pytest.fixture
def another(harness: Harness) -> Iterator[ApiProcess]:
    """A second API process."""
    process = ApiProcess("another", harness)
    yield process
    process.close()


def completed(harness: Harness, graph: Graph = GRAPH) -> str:
    """An execution that has completed."""
    execution = harness.begin(plan_of(graph))
    harness.drain()
    return execution


def rerun(harness: Harness, execution: str, asked: RerunAsked = FROM_B) -> RerunView:
    """Ask for it."""
    return harness.api.executions.rerun(execution, asked)


def runs_of(harness: Harness) -> list[tuple[str, int]]:
    """The nodes that handlers were called for, with the run, in order."""
    return [(call.node_id, call.run) for call in harness.workers[0].invoker.calls]


def test_a_completed_execution_runs_again_from_a_node(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """What is above and beside keeps its results, and is not called again."""
    execution = completed(harness)
    begun = rerun(harness, execution)
    assert (begun.run, begun.reset, begun.reused) == (2, ("b", "c", "join"), ("a", "other"))
    harness.drain()
    assert [node for node, run in runs_of(harness) if run == 2] == ["b", "c", "join"]
    assert [stored.status for stored in check_invariants()] == ["completed"]


def test_the_events_tell_of_a_rerun_and_who_asked_for_it(harness: Harness) -> None:
    """With its mode, behind the start of the run."""
    execution = completed(harness)
    with acting(Note(action="rerun_execution", actor=Actor(key="ops"))):
        rerun(harness, execution)
    events = harness.api.executions.events(execution, after=START, limit=500).items
    (told,) = [event for event in events if event.kind == "execution_rerun"]
    assert (told.mode, told.by) == ("from", "ops")
    assert events[events.index(told) - 1].run == 2


@pytest.mark.proves("two-reruns")
def test_of_two_reruns_at_once_one_begins(
    harness: Harness, another: ApiProcess, check_invariants: CheckEverything
) -> None:
    """The other is refused: the execution runs."""
    execution = completed(harness)
    other = RerunAsked(Wanted("all"))
    harness.api.state.between = lambda: (another.executions.rerun(execution, other), None)[1]
    with pytest.raises(WrongStateError):
        rerun(harness, execution)
    harness.drain()
    assert [stored.control["run"] for stored in check_invariants()] == ["2"]
    assert len([node for node, run in runs_of(harness) if run == 2]) == len(GRAPH)


@pytest.mark.proves("two-reruns")
def test_of_a_rerun_and_a_trigger_at_once_one_begins(
    harness: Harness, another: ApiProcess, check_invariants: CheckEverything
) -> None:
    """Whichever was first."""
    harness.script = failing_in(1, "b")
    execution = completed(harness)
    harness.api.state.between = lambda: (another.executions.trigger(execution, correlation_id="c"), None)[1]
    with pytest.raises(WrongStateError):
        rerun(harness, execution)
    harness.drain()
    assert [stored.control["run"] for stored in check_invariants()] == ["2"]


@pytest.mark.proves("rerun-overtaken")
def test_a_rerun_that_expects_an_earlier_run_is_refused(harness: Harness) -> None:
    """Also if that run ends just before."""
    execution = completed(harness)
    rerun(harness, execution)
    harness.drain()
    with pytest.raises(RerunOvertakenError, match="is in run 2, and run 1 was expected"):
        rerun(harness, execution, RerunAsked(Wanted("all"), run=1))
    with pytest.raises(RerunOvertakenError):
        harness.api.executions.preview_rerun(execution, RerunAsked(run=1))
    assert rerun(harness, execution, RerunAsked(Wanted("all"), run=2)).run == 3


def test_what_has_not_ended_is_not_run_again(harness: Harness) -> None:
    """Nor what was never triggered, nor a completed one of which nothing has failed."""
    execution = harness.create(plan_of(GRAPH))
    with pytest.raises(WrongStateError, match="only one that has ended"):
        rerun(harness, execution)
    harness.cancel(execution)
    with pytest.raises(WrongStateError, match="never triggered"):
        rerun(harness, execution)
    with pytest.raises(WrongStateError, match="nothing in it has failed"):
        rerun(harness, completed(harness), RerunAsked())


@pytest.mark.proves("rerun-impossible")
@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (Wanted("from", ("bb",)), RerunInvalidError),
        (Wanted("from", ("join",)), RerunNotPossibleError),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    harness: Harness, wanted: Wanted, error: type[Exception]
) -> None:
    """And is listed by the preview."""
    harness.script = failing_in(1, "other")
    execution = completed(harness)
    with pytest.raises(error):
        rerun(harness, execution, RerunAsked(wanted))
    view = harness.api.executions.status(execution)
    assert (view.status, view.run) == ("failed", 1)
    assert harness.api.executions.preview_rerun(execution, RerunAsked(wanted)).not_possible


@pytest.mark.proves("rerun-late-callback")
def test_a_late_callback_of_the_run_before_changes_nothing(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Before the node was sent again, while it runs, and once it has ended."""
    execution = harness.begin(plan_of(GRAPH))
    harness.start_executions()
    harness.run_tasks("a")
    harness.deliver(harness.orchestrators[0], harness.callback_of("a"))
    harness.run_tasks("b")
    late = harness.callback_of("b")
    harness.drain()
    rerun(harness, execution)

    def comes_late() -> None:
        before = harness.statuses(execution)
        assert harness.deliver(harness.orchestrators[0], late)
        assert harness.statuses(execution) == before

    comes_late()
    harness.start_executions()
    comes_late()
    harness.drain()
    comes_late()
    assert [stored.status for stored in check_invariants()] == ["completed"]


def test_a_rerun_is_cancelled_and_run_again(harness: Harness, check_invariants: CheckEverything) -> None:
    """What the cancel has kept from running begins again in every mode, what has run keeps its result."""
    execution = completed(harness)
    rerun(harness, execution)
    harness.start_executions()
    harness.cancel(execution)
    with pytest.raises(WrongStateError, match="cancelling"):
        rerun(harness, execution)
    harness.drain()
    assert rerun(harness, execution, RerunAsked(Wanted("from", ("other",)))).reused == ("a",)
    harness.drain()
    assert [stored.status for stored in check_invariants()] == ["completed"]


@pytest.mark.proves("rerun-message-lost")
def test_the_sweep_begins_a_rerun_whose_message_is_lost(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """As it does with any start."""
    execution = completed(harness)
    rerun(harness, execution)
    (message,) = harness.waiting("orchestrator")
    harness.client.xack(harness.stream("orchestrator"), GROUP, message.id)
    harness.client.xdel(harness.stream("orchestrator"), message.id)
    sweep = harness.orchestrators[0].sweep
    for _ in range(2):
        sweep.run()
    assert sweep.repaired
    harness.drain()
    assert [stored.status for stored in check_invariants()] == ["completed"]


@pytest.mark.proves("rerun-cut")
@pytest.mark.parametrize("way", WAYS)
def test_a_rerun_cut_anywhere_begins_once_or_not_at_all(
    harness: Harness, check_invariants: CheckEverything, way: Way
) -> None:
    """Cut at any command: the API answers rightly or not at all, and nothing is half done."""
    process = harness.api
    for at in range(1, 12):
        execution = completed(harness)
        gate = process.line.gate = Gate(at=at, way=way)
        answered = False
        with contextlib.suppress(StoreUnavailableError, ProcessDied):
            answered = rerun(harness, execution).run == 2
        if process.line.dead:
            process.reborn()
        process.line.gate = Gate()
        lost_answer = way == "fail_after" and str(gate.struck).endswith("EXEC")
        assert answered or not lost_answer, "it could have found out that it was heard"
        run = process.executions.status(execution).run
        assert run == 2 if answered else run in (1, 2)
        harness.drain()
    assert {stored.status for stored in check_invariants()} == {"completed"}


@pytest.mark.proves("rerun-skip-waits")
def test_what_is_below_a_skipped_node_waits_for_what_is_above(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Also where the process dies that has taken the last callback: it comes again, and looks at all."""
    graph: Graph = {"a": (), "b": (), "s": ("a", "b"), "t": ("s",), "u": ("s", "b")}
    execution = completed(harness, graph)
    rerun(harness, execution, RerunAsked(Wanted("from", ("a", "b"), ("s",))))
    harness.start_executions()
    harness.run_tasks()
    for callback in (harness.callback_of("a"), harness.callback_of("b")):
        assert harness.statuses(execution)["t"] == "pending"
        at = 1
        while callback.id in [each.id for each in harness.callbacks()]:
            harness.orchestrators[0].line.gate = Gate(at=at, way="die_after")
            harness.deliver(harness.orchestrators[0], callback)
            at += 1
        harness.orchestrators[0].line.gate = Gate()
    skipped = dict.fromkeys("stu", "skipped")
    assert harness.statuses(execution) == {"a": "completed", "b": "completed", **skipped}
    assert [stored.status for stored in check_invariants()] == ["completed"]


READING: JsonValue = {
    "name": "reading",
    "inputs": {"day": {"type": "integer"}, "size": {"type": "integer", "default": 5}},
    "vars": {"base": "{{ inputs.day }}"},
    "nodes": [
        {"id": "a", "handler": "sum", "config": {"inputs": ["{{ vars.base }}"]}},
        {"id": "b", "handler": "sum", "config": {"inputs": ["{{ inputs.size }}"]}},
        {"id": "c", "handler": "sum", "config": {"inputs": ["{{ a.result }}"]}, "dependencies": ["a"]},
    ],
}


@pytest.mark.proves("rerun-inputs")
def test_other_inputs_run_again_what_reads_them(harness: Harness, check_invariants: CheckEverything) -> None:
    """And are those of the execution from then on."""
    checked = check_document(READING, registry(), Limits())
    assert checked.plan is not None, checked.problems
    executions = harness.api.executions
    execution = executions.start(checked.plan, correlation_id="c", inputs={"day": 10}).execution_id
    harness.drain()
    asked = RerunAsked(inputs={"day": 20})
    preview = executions.preview_rerun(execution, asked)
    begun = rerun(harness, execution, asked)
    assert (begun.reset, begun.reused) == (preview.reset, preview.reused) == (("a", "c"), ("b",))
    harness.drain()
    assert harness.results(execution) == {"a": 21, "b": 6, "c": 22}
    shown = executions.status(execution).inputs
    assert shown != msgspec.UNSET
    assert msgspec.json.encode(shown) == b'{"day":20,"size":5}'
    assert [stored.status for stored in check_invariants()] == ["completed"]


@pytest.mark.proves("rerun-inputs")
def test_inputs_that_do_not_fit_begin_nothing(harness: Harness) -> None:
    """Neither a rerun nor its preview."""
    checked = check_document(READING, registry(), Limits())
    assert checked.plan is not None
    executions = harness.api.executions
    execution = executions.start(checked.plan, correlation_id="c", inputs={"day": 10}).execution_id
    harness.drain()
    for ask in (executions.rerun, executions.preview_rerun):
        with pytest.raises(InputsInvalidError):
            ask(execution, RerunAsked(Wanted("all"), inputs={"day": "x"}))
    with pytest.raises(WrongStateError, match="nothing in it has failed"):
        rerun(harness, execution, RerunAsked(inputs={"day": 10}))
    assert executions.status(execution).run == 1


def test_what_is_directly_below_a_skipped_node_is_skipped_with_it(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """As the run begins: nobody takes the nodes above it for completed."""
    execution = completed(harness, {"a": (), "b": ("a",), "c": ()})
    rerun(harness, execution, RerunAsked(Wanted(skip=("a",))))
    harness.drain()
    assert harness.statuses(execution) == {"a": "skipped", "b": "skipped", "c": "completed"}
    assert [stored.status for stored in check_invariants()] == ["completed"]
