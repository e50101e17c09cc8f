"""Reruns as new executions: what they copy, and what may happen to either execution meanwhile."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest

from flowengine.access.acting import Note, acting
from flowengine.access.records import Actor
from flowengine.engine.commands.rerun import RerunAsked, RerunNotPossibleError
from flowengine.engine.definitions.definitions import NewVersion, Start
from flowengine.errors import (
    AlreadyTriggeredError,
    ConcurrencyLimitError,
    DefinitionNotFoundError,
    RerunOvertakenError,
    StoreUnavailableError,
    WrongStateError,
)
from flowengine.execution.history.places import START
from flowengine.execution.requests.listing import Wanted as Listed
from flowengine.execution.rules.dispatching import Sizes
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.views.executions import RerunView, TriggerView
from flowengine.jsonvalue import JsonValue
from flowengine.settings import Limits
from flowengine.store import keys
from flowengine.workflow import check_document
from flowengine.workflow.limits.declared import Concurrency
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import ExecutionPolicy
from flowengine.workflow.posting.posted_document import JSON, PostedDocument
from flowengine.workflow.requests.chosen_version import Version
from tests.integration.engine.test_engine_maps import failing_items, map_plan, output
from tests.support.checks.invariants import CheckEverything, check
from tests.support.checks.reference_model import Graph
from tests.support.checks.snapshot import Snapshot
from tests.support.faults import WAYS, Gate, ProcessDied, Way
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import Harness, failing_in, plan_of, registry

GRAPH: Graph = {"a": (), "b": ("a",), "c": ("b",), "other": (), "join": ("c", "other")}
FROM_C = RerunAsked(Wanted("from", ("c",)))
ALL = RerunAsked(Wanted("all"))


def completed(harness: Harness, graph: Graph = GRAPH) -> str:
    """An execution that has completed."""
    execution = harness.begin(plan_of(graph))
    harness.drain()
    return execution


def fork(
    harness: Harness, execution: str, asked: RerunAsked = FROM_C, version: Version = "original"
) -> RerunView:
    """Ask for it; what the preview has listed is what it answers."""
    executions = harness.api.executions
    preview = executions.preview_fork(execution, asked, version)
    made = executions.fork(execution, asked, version)
    assert (made.reset, made.reused, made.skipped) == (preview.reset, preview.reused, preview.skipped)
    return made


def everything_of(harness: Harness, execution: str) -> dict[bytes, bytes | None]:
    """All that is stored of an execution, as Redis dumps it."""
    found = Snapshot(harness.client).starting_with(f"fe:x:{execution}:")
    return {key: harness.client.dump(key) for key in found}


def copy_step(harness: Harness) -> None:
    """Let an orchestrator deal with one message of forks."""
    entry = next(each for each in harness.waiting("orchestrator") if each.actor == "copy_results")
    harness.deliver(harness.orchestrators[0], entry)


def ran_in(harness: Harness, execution: str) -> list[str]:
    """The nodes that handlers were called for."""
    calls = harness.workers[0].invoker.calls
    return [call.node_id for call in calls if call.execution_id == execution]


@pytest.mark.proves("fork")
def test_a_fork_copies_what_it_reuses_and_leaves_its_origin_as_it_is(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """To the byte: its keys, its events, its expiry."""
    origin = completed(harness)
    before = everything_of(harness, origin)
    made = fork(harness, origin)
    assert (made.status, made.run, made.rerun_of) == ("pending", 2, origin)
    assert (made.reset, made.reused) == (("c", "join"), ("a", "b", "other"))
    harness.drain()
    assert ran_in(harness, made.execution_id) == ["c", "join"]
    assert harness.results(made.execution_id) == harness.results(origin)
    assert everything_of(harness, origin) == before
    assert [stored.status for stored in check_invariants()] == ["completed", "completed"]


@pytest.mark.proves("fork")
def test_a_fork_and_its_origin_know_each_other(harness: Harness) -> None:
    """In both views, in lists, in the events, in the reason of its run."""
    origin, executions = completed(harness), harness.api.executions
    assert executions.status(origin).reruns is msgspec.UNSET
    with acting(Note(action="rerun_execution", actor=Actor(key="ops"))):
        made = fork(harness, origin).execution_id
    harness.drain()
    view = executions.status(made)
    assert view.rerun_of != msgspec.UNSET
    assert (view.rerun_of.execution_id, view.rerun_of.run) == (origin, 1)
    reruns = executions.status(origin).reruns
    assert reruns != msgspec.UNSET
    assert (reruns.count, reruns.link) == (1, f"/workflows?rerun_of={origin}")
    (listed,) = executions.list(Listed(rerun_of=origin), limit=10).items
    assert (listed.execution_id, listed.trigger) == (made, TriggerView(kind="rerun", execution_id=origin))
    told = executions.events(made, after=START, limit=500).items
    assert [(each.mode, each.by) for each in told if each.kind == "execution_rerun"] == [("from", "ops")]
    (run,) = executions.runs(made, limit=10).items
    assert (run.run, run.why.kind, run.why.mode, run.why.by) == (2, "rerun", "from", "ops")


@pytest.mark.proves("fork-of-running")
def test_a_fork_of_a_running_execution_begins_what_has_not_ended(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The other one goes on beside it."""
    origin = harness.begin(plan_of(GRAPH))
    harness.start_executions()
    harness.run_tasks("a")
    harness.deliver(harness.orchestrators[0], harness.callback_of("a"))
    preview = harness.api.executions.preview_fork(origin, RerunAsked())
    assert preview.forks != msgspec.UNSET
    assert {(each.node, each.code) for each in preview.forks.anew} == {
        ("b", "unfinished"),
        ("other", "unfinished"),
    }
    made = fork(harness, origin, RerunAsked())
    assert (made.reset, made.reused) == (("b", "c", "other", "join"), ("a",))
    harness.drain()
    assert harness.results(made.execution_id) == harness.results(origin)
    assert sorted(ran_in(harness, made.execution_id)) == ["b", "c", "join", "other"]
    assert [stored.status for stored in check_invariants()] == ["completed", "completed"]


def test_what_was_never_triggered_or_is_not_as_expected_is_not_forked(harness: Harness) -> None:
    """Nothing is stored then."""
    execution = harness.create(plan_of(GRAPH))
    with pytest.raises(WrongStateError, match="never triggered"):
        fork(harness, execution)
    with pytest.raises(WrongStateError, match="nothing in it has failed"):
        fork(harness, done := completed(harness), RerunAsked())
    with pytest.raises(RerunOvertakenError, match="is in run 1"):
        fork(harness, done, RerunAsked(Wanted("all"), run=2))
    assert len(harness.api.executions.list(Listed(), limit=10).items) == 2


@pytest.mark.proves("fork-steps")
def test_a_fork_is_not_shown_as_started_before_it_has_copied_all(harness: Harness) -> None:
    """It cannot be triggered meanwhile, and the next rerun of it is a run of its own."""
    harness.resize(Sizes(copied_nodes=2))
    origin = completed(harness)
    made = fork(harness, origin).execution_id
    for _ in range(2):
        view = harness.api.executions.status(made)
        assert (view.status, view.run, view.started_at) == ("pending", 0, None)
        check(harness.client, made, settled=False)
        with pytest.raises(AlreadyTriggeredError, match="begins by itself"):
            harness.trigger(made)
        copy_step(harness)
    view = harness.api.executions.status(made)
    assert (view.status, view.run) == ("running", 2)
    harness.drain()
    assert harness.api.executions.rerun(made, RerunAsked(Wanted("from", ("a",)))).run == 3
    harness.drain()
    assert harness.results(made) == harness.results(origin)


@pytest.mark.proves("fork-cut")
def test_a_copy_takes_the_place_of_what_was_copied_before(harness: Harness) -> None:
    """Whatever a step left that is done again."""
    origin = completed(harness)
    made = fork(harness, origin, RerunAsked(Wanted("from", ("join",)))).execution_id
    for node in harness.results(origin):
        harness.client.hset(keys.of().node(made, node), keys.RESULT, b'{"result":99}')
    harness.drain()
    assert harness.results(made) == harness.results(origin)


@pytest.mark.proves("fork-cut")
@pytest.mark.parametrize("way", WAYS)
def test_a_fork_cut_at_any_command_loses_nothing(
    harness: Harness, check_invariants: CheckEverything, way: Way
) -> None:
    """Struck at each command of all of its steps, a fork of its own each time."""
    harness.resize(Sizes(copied_nodes=2))
    origin, process = completed(harness), harness.orchestrators[0]
    for at in range(1, 60):
        made = fork(harness, origin, RerunAsked(Wanted("from", ("join",)))).execution_id
        gate = process.line.gate = Gate(at=at, way=way)
        for _ in range(6):
            if not any(each.actor == "copy_results" for each in harness.waiting("orchestrator")):
                break
            copy_step(harness)
            check(harness.client, made, settled=False)
        process.line.gate = Gate()
        harness.drain()
        assert harness.results(made) == harness.results(origin)
        assert ran_in(harness, made) == ["join"]
        if gate.struck is None:
            break
    assert at > 8
    assert {stored.status for stored in check_invariants()} == {"completed"}


@pytest.mark.proves("fork-cut")
@pytest.mark.parametrize("way", WAYS)
def test_a_request_cut_at_any_command_makes_a_whole_fork_or_none(
    harness: Harness, check_invariants: CheckEverything, way: Way
) -> None:
    """What is there, is found by its origin."""
    origin, process = completed(harness), harness.api
    for at in range(1, 16):
        before = len(process.executions.list(Listed(rerun_of=origin), limit=50).items)
        gate = process.line.gate = Gate(at=at, way=way)
        answered = False
        with contextlib.suppress(StoreUnavailableError, ProcessDied):
            answered = process.executions.fork(origin, FROM_C).run == 2
        if process.line.dead:
            process.reborn()
        process.line.gate = Gate()
        after = len(process.executions.list(Listed(rerun_of=origin), limit=50).items)
        assert after == before + 1 if answered else after in (before, before + 1)
        if gate.struck is None:
            break
    harness.drain()
    assert {stored.status for stored in check_invariants()} == {"completed"}


@pytest.mark.proves("fork-origin-gone")
@pytest.mark.parametrize("how", ["deleted", "expired", "rerun"])
def test_a_fork_whose_origin_goes_first_fails_and_says_so(
    harness: Harness, check_invariants: CheckEverything, how: str
) -> None:
    """Half of it was copied. It is kept for an hour, and never begins."""
    harness.resize(Sizes(copied_nodes=2))
    origin = completed(harness)
    made = fork(harness, origin).execution_id
    copy_step(harness)
    control, gone = f"fe:x:{origin}:control", None
    if how == "deleted":
        harness.delete(origin)
    elif how == "expired":
        gone = harness.client.dump(control)
        harness.client.delete(control)
    else:
        harness.api.executions.rerun(origin, FROM_C)  # what is still to be copied stays as it is
    copy_step(harness)
    if gone is not None:  # what has expired would go from the lists with the sweep
        harness.client.restore(control, 60_000, gone)
    view = harness.api.executions.status(made)
    assert view.error != msgspec.UNSET
    assert (view.status, view.run, view.error.code) == ("failed", 0, "origin_gone")
    assert origin in view.error.message
    (listed,) = [each for each in harness.api.executions.list(Listed(), limit=9).items if each.error]
    assert listed.error is not None
    assert (listed.execution_id, listed.error.code) == (made, "origin_gone")
    assert 0 < harness.client.ttl(f"fe:x:{made}:control") <= 3600
    with pytest.raises(WrongStateError, match="ended before it had copied"):
        harness.trigger(made)
    with pytest.raises(WrongStateError, match="never triggered"):
        harness.api.executions.rerun(made, ALL)
    harness.drain()
    check_invariants()
    assert ran_in(harness, made) == []


@pytest.mark.proves("fork-stopped")
def test_a_fork_that_is_cancelled_or_deleted_before_it_begins_never_begins(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Between two steps: the next one finds nothing to do."""
    harness.resize(Sizes(copied_nodes=1))
    origin = completed(harness)
    cancelled, deleted = fork(harness, origin).execution_id, fork(harness, origin).execution_id
    copy_step(harness)
    copy_step(harness)
    assert harness.cancel(cancelled) == "cancelled"
    assert harness.delete(deleted)
    harness.drain()
    assert ran_in(harness, cancelled) == ran_in(harness, deleted) == []
    with pytest.raises(WrongStateError, match="ended before it had copied"):
        harness.trigger(cancelled)
    assert not Snapshot(harness.client).starting_with(f"fe:x:{deleted}:")
    assert sorted(stored.status for stored in check_invariants()) == ["cancelled", "completed"]


def test_a_message_that_comes_again_after_the_fork_has_begun_changes_nothing(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The copies are those of the fork by then."""
    made = fork(harness, completed(harness)).execution_id
    late = next(each for each in harness.waiting("orchestrator") if each.actor == "copy_results")
    harness.drain()
    before = everything_of(harness, made)
    assert harness.deliver(harness.orchestrators[0], late)
    assert everything_of(harness, made) == before
    check_invariants()


def test_what_has_failed_stays_in_a_fork_that_begins_beside_it(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """And counts: the fork fails with it. A fork of what has failed begins it again."""
    harness.script = failing_in(1, "other")
    origin = completed(harness)
    beside = fork(harness, origin)
    harness.script = failing_in(0)
    failed = fork(harness, origin, RerunAsked())
    assert (failed.reset, failed.reused) == (("other", "join"), ("a", "b", "c"))
    harness.drain()
    assert harness.statuses(beside.execution_id)["other"] == "failed"
    assert harness.statuses(failed.execution_id)["join"] == "completed"
    assert sorted(stored.status for stored in check_invariants()) == ["completed", "failed", "failed"]


def test_a_fork_skips_nodes(harness: Harness, check_invariants: CheckEverything) -> None:
    """As any rerun."""
    made = fork(harness, completed(harness), RerunAsked(Wanted(skip=("b",))))
    harness.drain()
    assert harness.statuses(made.execution_id) == {
        "a": "completed",
        "b": "skipped",
        "c": "skipped",
        "other": "completed",
        "join": "skipped",
    }
    check_invariants()


# -- other versions


NODES: list[dict[str, JsonValue]] = [
    {"id": "a", "handler": "sum", "config": {"inputs": ["{{ vars.base }}"]}},
    {"id": "b", "handler": "sum", "config": {"inputs": ["{{ inputs.size }}"]}},
    {"id": "c", "handler": "sum", "config": {"inputs": ["{{ a.result }}"]}, "dependencies": ["a"]},
]


def document(**over: Any) -> JsonValue:
    """A workflow whose `a` and `b` read inputs, and whose `c` reads `a`."""
    return {
        "name": "reading",
        "inputs": {"day": {"type": "integer"}, "size": {"type": "integer", "default": 5}},
        "vars": {"base": "{{ inputs.day }}"},
        "nodes": list(NODES),
        **over,
    }


def applied(harness: Harness, written: JsonValue) -> Plan:
    """The plan of a document that is applied."""
    checked = check_document(written, registry(), Limits())
    assert checked.plan is not None, checked.problems
    text = msgspec.json.encode(written)
    version = NewVersion(plan=checked.plan, document=PostedDocument(text, JSON), value=text.decode())
    harness.api.executions.definitions.apply(version)
    return checked.plan


def started(harness: Harness) -> str:
    """A completed execution of the version in force."""
    asked = Start(correlation_id="c", inputs={"day": 10})
    execution = harness.api.executions.definitions.start("reading", asked).execution_id
    harness.drain()
    return execution


@pytest.mark.proves("fork-version")
@pytest.mark.parametrize(
    ("written", "reset"),
    [
        (document(description="as it was"), ()),
        (document(nodes=[{**NODES[0], "timeout_seconds": 7}, *NODES[1:]]), ("a", "c")),
        (document(nodes=[*NODES[:2], {**NODES[2], "retry": {"max_attempts": 2}}]), ("c",)),
        (document(nodes=[*NODES, adds("d", "b")]), ("d",)),
        (document(nodes=[NODES[1], NODES[2], NODES[0]]), ()),
        (document(vars={"base": "{{ inputs.day + 1 }}"}), ("a", "c")),
        (document(inputs={"day": {"type": "integer"}, "size": {"type": "integer"}}), ()),
    ],
)
def test_a_result_is_reused_where_its_node_and_all_above_it_are_the_same(
    harness: Harness, check_invariants: CheckEverything, written: JsonValue, reset: tuple[str, ...]
) -> None:
    """By what is said of nodes, in whatever order, and by the vars that they read."""
    applied(harness, document())
    origin = started(harness)
    plan = applied(harness, written)
    made = fork(harness, origin, RerunAsked(Wanted("from")), "latest")
    assert set(made.reset) == set(reset)
    assert set(made.reused) == set(plan.names("main")) - set(reset)
    harness.drain()
    view = harness.api.executions.status(made.execution_id)
    assert (view.status, view.version) == ("completed", 2)
    assert set(ran_in(harness, made.execution_id)) == set(reset)
    check_invariants()


@pytest.mark.proves("fork-version")
def test_a_fork_goes_back_to_an_earlier_version(harness: Harness) -> None:
    """Which the preview names, with what begins anew and why."""
    applied(harness, document())
    applied(harness, document(nodes=[{**NODES[0], "timeout_seconds": 7}, *NODES[1:]]))
    origin = started(harness)
    preview = harness.api.executions.preview_fork(origin, RerunAsked(Wanted("from")), 1)
    assert preview.forks != msgspec.UNSET
    assert (preview.version, preview.forks.version) == (2, 1)
    assert {(each.node, each.code) for each in preview.forks.anew} == {
        ("a", "definition"),
        ("c", "definition"),
    }
    made = fork(harness, origin, RerunAsked(Wanted("from")), 1)
    harness.drain()
    assert harness.api.executions.status(made.execution_id).version == 1
    with pytest.raises(DefinitionNotFoundError):
        fork(harness, origin, ALL, 9)


@pytest.mark.proves("fork-version")
def test_other_inputs_and_new_defaults_reset_their_readers(harness: Harness) -> None:
    """The fork is given them, and its origin keeps its own."""
    applied(harness, document())
    origin = started(harness)
    made = fork(harness, origin, RerunAsked(inputs={"day": 20}))
    assert (made.reset, made.reused) == (("a", "c"), ("b",))
    sizes: JsonValue = {"day": {"type": "integer"}, "length": {"type": "integer", "default": 8}}
    nodes = [NODES[0], {**NODES[1], "config": {"inputs": ["{{ inputs.length }}"]}}, NODES[2]]
    applied(harness, document(inputs=sizes, nodes=nodes))
    latest = fork(harness, origin, RerunAsked(Wanted("from")), "latest")
    assert (latest.reset, latest.reused) == (("b",), ("a", "c"))
    harness.drain()
    assert harness.results(made.execution_id) == {"a": 21, "b": 6, "c": 22}
    assert harness.results(latest.execution_id) == {"a": 11, "b": 9, "c": 12}
    assert harness.results(origin) == {"a": 11, "b": 6, "c": 12}


def test_a_posted_document_has_no_other_version(harness: Harness) -> None:
    """Also where a definition has its name."""
    applied(harness, document(name="test"))
    with pytest.raises(RerunNotPossibleError, match="was posted"):
        fork(harness, completed(harness), ALL, "latest")


# -- maps, groups, iterations


@pytest.mark.proves("fork-items")
def test_the_items_of_a_completed_map_are_copied(harness: Harness, check_invariants: CheckEverything) -> None:
    """Its result, its items, and what a later run of the fork keeps of them."""
    origin = harness.begin(map_plan([1, 2, 3]))
    harness.drain()
    made = fork(harness, origin, RerunAsked(Wanted("from", ("after",)))).execution_id
    harness.drain()
    assert output(harness, made)["result"] == [2, 3, 4]
    assert harness.results(made)["after"] == harness.results(origin)["after"]
    page = harness.api.executions.items(
        made, "each", statuses=(), begin=0, limit=10, cursor=None, with_results=False
    )
    assert [item.status for item in page.items] == ["completed"] * 3
    check_invariants()
    harness.delete(origin)
    harness.drain()
    assert output(harness, made)["result"] == [2, 3, 4]
    harness.delete(made)
    harness.drain()
    assert not check_invariants()


@pytest.mark.proves("fork-items")
def test_a_map_that_has_failed_begins_with_all_of_its_items(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """A run of the same execution would keep those that have completed; the preview says so."""
    harness.script = failing_items("1")
    origin = harness.begin(map_plan([1, 2, 3]))
    harness.drain()
    harness.script = lambda context: None
    preview = harness.api.executions.preview_fork(origin, RerunAsked())
    assert preview.forks != msgspec.UNSET
    assert [(each.node, each.code) for each in preview.forks.anew] == [("each", "items")]
    made = fork(harness, origin, RerunAsked()).execution_id
    harness.drain()
    assert output(harness, made)["result"] == [2, 3, 4]
    assert len([node for node in ran_in(harness, made) if node == "each"]) == 3
    check_invariants()


@pytest.mark.proves("fork-children")
def test_the_result_of_a_group_is_copied_and_its_child_is_not(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """It stays the origin's; a group that begins again has a child of its own."""
    plan = plan_from(nodes=[adds("a"), group("g", adds("inner"), after=("a",)), adds("z", after=("g",))])
    origin = harness.begin(plan)
    harness.drain()
    kept = fork(harness, origin, RerunAsked(Wanted("from", ("z",)))).execution_id
    anew = fork(harness, origin, RerunAsked(Wanted("from", ("g",)))).execution_id
    harness.drain()
    children = {
        execution: len(harness.api.executions.list(Listed(parent=execution), limit=9).items)
        for execution in (origin, kept, anew)
    }
    assert children == {origin: 1, kept: 0, anew: 1}
    assert check(harness.client, kept).record("g").child is None
    results = [harness.api.executions.results(each).results["g"] for each in (origin, kept, anew)]
    assert len(set(map(bytes, results))) == 1
    assert {stored.status for stored in check_invariants()} == {"completed"}


# -- limits


@pytest.mark.proves("fork-line")
def test_a_fork_waits_for_its_turn(harness: Harness, check_invariants: CheckEverything) -> None:
    """In the line of its workflow, behind the one that runs."""
    overall = ExecutionPolicy(concurrency=Concurrency(limit=1))
    origin = harness.begin(plan_of(GRAPH, overall=overall))
    harness.start_executions()
    made = fork(harness, origin, ALL).execution_id
    copy_step(harness)
    view = harness.api.executions.status(made)
    assert (view.status, view.run) == ("pending", 2)
    assert view.waiting_for != msgspec.UNSET
    assert view.waiting_for.place == 2
    harness.drain()
    assert [stored.status for stored in check_invariants()] == ["completed", "completed"]


def test_a_fork_is_refused_where_its_workflow_lets_nobody_wait(harness: Harness) -> None:
    """Before anything is stored."""
    overall = ExecutionPolicy(concurrency=Concurrency(limit=1, on_limit="reject"))
    origin = harness.begin(plan_of(GRAPH, overall=overall))
    with pytest.raises(ConcurrencyLimitError):
        fork(harness, origin, ALL)
    assert len(harness.api.executions.list(Listed(), limit=9).items) == 1
