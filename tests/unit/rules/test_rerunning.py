"""What a rerun begins again, reuses and skips, and what of it cannot be done."""

from __future__ import annotations

import pytest

from flowengine.execution.records import NodeRecord
from flowengine.execution.rules.readiness import records_of
from flowengine.execution.rules.steering.rerunning import Rerun, RerunMode, Wanted, rerun_of
from flowengine.workflow.policy import Policy, TriggerRule
from flowengine.workflow.stages import OUTPUTS_NODE, Stages
from tests.support.checks.reference_model import Graph
from tests.support.rigs.harness import plan_of
from tests.unit.execution.rule_cases import BROKEN
from tests.unit.rules.world import World, ruled, with_policies

COMPLETED = NodeRecord(status="completed", attempt=1, dispatch=1)
FAILED = NodeRecord(status="failed", attempt=1, dispatch=1, error=BROKEN)
CANCELLED = NodeRecord(status="cancelled", attempt=1, dispatch=1)
GRAPH: Graph = {"a": (), "b": ("a",), "c": ("b",), "other": (), "join": ("c", "other")}
ALL_COMPLETED = dict.fromkeys(GRAPH, COMPLETED)


def of(
    wanted: Wanted, stored: dict[str, NodeRecord], graph: Graph = GRAPH, **policies: Policy | TriggerRule
) -> Rerun:
    """What such a rerun does."""
    said = {name: each if isinstance(each, Policy) else ruled(each) for name, each in policies.items()}
    return rerun_of(with_policies(plan_of(graph), said), records_of(stored), wanted)


def names(positions: frozenset[int], graph: Graph = GRAPH) -> set[str]:
    """These nodes."""
    plan = plan_of(graph)
    return {plan.nodes[position].id for position in positions}


def reset(wanted: Wanted, stored: dict[str, NodeRecord], **policies: Policy | TriggerRule) -> set[str]:
    """The nodes of GRAPH that begin again."""
    return names(of(wanted, stored, GRAPH, **policies).reset)


def test_from_a_node_begins_it_and_all_below() -> None:
    """What is above or beside stays."""
    assert reset(Wanted("from", ("b",)), ALL_COMPLETED) == {"b", "c", "join"}


def test_from_several_nodes_begins_each_of_them() -> None:
    """And what is below any of them."""
    assert reset(Wanted("from", ("c", "other")), ALL_COMPLETED) == {"c", "other", "join"}


def test_all_begins_everything() -> None:
    """Whatever it was."""
    assert reset(Wanted("all"), ALL_COMPLETED) == set(GRAPH)


def test_from_leaves_a_failure_beside_as_it_is() -> None:
    """Only what is named is wanted again."""
    stored = {**ALL_COMPLETED, "other": FAILED, "join": FAILED}
    assert reset(Wanted("from", ("c",)), stored) == {"c", "join"}


@pytest.mark.parametrize("mode", ["failed", "from", "all"])
@pytest.mark.parametrize(
    "record",
    [
        CANCELLED,
        NodeRecord(),
        NodeRecord(status="skipped", skipped="ended_early"),
        NodeRecord(status="failed", error=BROKEN, unsettled=True),
    ],
)
def test_what_a_stop_left_undecided_begins_again_in_every_mode(mode: RerunMode, record: NodeRecord) -> None:
    """Nothing could be decided below it otherwise."""
    stored = {**ALL_COMPLETED, "other": record}
    assert {"other", "join"} <= reset(Wanted(mode, ("c",)), stored)


def test_an_end_begins_again_in_every_mode() -> None:
    """Its mark has gone with the run that it ended."""
    assert "other" in reset(Wanted("from", ("b",)), ALL_COMPLETED, other=Policy(ends=True))


def test_from_begins_a_one_success_below_it_again() -> None:
    """It is to see what the node gives now, whatever other success it had."""
    assert "join" in reset(Wanted("from", ("c",)), ALL_COMPLETED, join="one_success")


def test_what_reads_a_changed_input_begins_again_in_every_mode() -> None:
    """With all that is below it, a `one_success` that had another success too."""
    wanted = Wanted(readers=("c",))
    assert reset(wanted, ALL_COMPLETED, join="one_success") == {"c", "join"}


def test_a_skipped_node_does_not_run_and_all_below_is_decided_anew() -> None:
    """In the mode `failed` too, where nothing else begins again."""
    found = of(Wanted(skip=("b",)), ALL_COMPLETED)
    assert (names(found.skipped), names(found.reset)) == ({"b"}, {"c", "join"})


def test_each_node_is_reset_or_skipped_or_reused() -> None:
    """And none of them twice."""
    found = of(Wanted("from", ("a",), ("c",)), ALL_COMPLETED)
    reused = frozenset(found.reused(plan_of(GRAPH)))
    assert sorted([*found.reset, *found.skipped, *reused]) == list(range(len(GRAPH)))


def test_nothing_of_later_stages_is_reset_by_name() -> None:
    """They come again by themselves."""
    graph: Graph = {"a": (), OUTPUTS_NODE: (), "tidy": ()}
    plan = plan_of(graph, stages=Stages(outputs=1, finally_=1))
    found = rerun_of(plan, records_of(dict.fromkeys(graph, COMPLETED)), Wanted("all"))
    assert names(found.reset, graph) == {"a"}


# -- what cannot be done


def hindrances(wanted: Wanted, stored: dict[str, NodeRecord]) -> list[tuple[str, str, str]]:
    """What cannot be done: the node, the field, why."""
    graph: Graph = {**GRAPH, OUTPUTS_NODE: (), "tidy": ()}
    plan = plan_of(graph, stages=Stages(outputs=1, finally_=1))
    found = rerun_of(plan, records_of(stored), wanted)
    return [(each.node, each.field, each.code) for each in found.not_possible]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted("from", ("bb",)), [("bb", "from", "unknown_node")]),
        (Wanted(skip=(OUTPUTS_NODE,)), [(OUTPUTS_NODE, "skip", "unknown_node")]),
        (Wanted("from", ("tidy",)), [("tidy", "from", "hook")]),
        (Wanted(skip=("tidy", "x")), [("tidy", "skip", "hook"), ("x", "skip", "unknown_node")]),
        (Wanted("from", ("b",), ("b",)), [("b", "skip", "also_skipped")]),
        (Wanted("from", ("c",)), []),
        (Wanted("from", ("join",)), [("join", "from", "does_not_run")]),
        (Wanted("from", ("other", "join")), []),
        (Wanted("from", ("join",), ("other",)), [("join", "from", "does_not_run")]),
    ],
)
def test_what_cannot_be_done_is_named(wanted: Wanted, expected: list[tuple[str, str, str]]) -> None:
    """`other` has failed, and keeps `join` from running unless it begins again too."""
    stored = {**ALL_COMPLETED, "other": FAILED, "join": FAILED}
    assert hindrances(wanted, stored) == expected


def test_the_nearest_name_is_proposed() -> None:
    """For a node that is not there."""
    graph: Graph = {"fetch_data": ()}
    (found,) = of(Wanted("from", ("fetch_dat",)), {"fetch_data": COMPLETED}, graph).not_possible
    assert found.message == "there is no node 'fetch_dat'; did you mean 'fetch_data'?"


def test_what_keeps_a_node_from_running_is_told() -> None:
    """With the nodes above it, and what to do."""
    stored = {**ALL_COMPLETED, "other": FAILED, "join": FAILED}
    (found,) = of(Wanted("from", ("join",)), stored).not_possible
    assert found.message == (
        "'join' would fail again by what stays above it ('c' completed, 'other' failed): begin further up"
    )


# -- how it goes on


def test_a_failure_that_stays_fails_what_depends_on_it_and_the_execution() -> None:
    """As if it had failed in this run."""
    world = World(GRAPH)
    world.trigger()
    world.fail("other")
    world.end()
    world.rerun(Wanted("from", ("b",)))
    world.end()
    assert world.statuses == {**dict.fromkeys("abc", "completed"), "other": "failed", "join": "failed"}
    assert world.status == "failed"
    assert world.records["b"].run == world.records["join"].run == 2
    assert world.records["other"].run == 1


def test_a_completed_execution_runs_again_to_its_end() -> None:
    """From a node in the middle."""
    world = World(GRAPH)
    world.trigger()
    world.end()
    world.rerun(Wanted("from", ("c",)))
    assert set(world.tasks) == {"c"}
    world.end()
    assert world.status == "completed"


def test_what_is_below_a_skipped_node_waits_for_what_is_above_it() -> None:
    """A node that does without it must not begin while something above it still runs."""
    world = World({"a": (), "s": ("a",), "clean": ("s",)}, {"clean": ruled("all_done")})
    world.trigger()
    world.end()
    world.rerun(Wanted("from", ("a",), ("s",)))
    assert (world.records["s"].status, set(world.tasks)) == ("skipped", {"a"})
    world.complete("a")
    assert set(world.tasks) == {"clean"}
    world.end()
    assert world.records["s"].skipped == "operator"


@pytest.mark.parametrize("fails", [False, True])
def test_skipped_nodes_in_a_row_wait_for_what_is_above_all_of_them(fails: bool) -> None:
    """Each counts as ended once the one above it does, however that has ended."""
    graph: Graph = {"a": (), "b": (), "s": ("a", "b"), "t": ("s",), "clean": ("t",)}
    world = World(graph, {"clean": ruled("all_done")})
    world.trigger()
    world.end()
    world.rerun(Wanted("from", ("a", "b"), ("s", "t")))
    world.report("a") if not fails else world.fail("a")
    assert set(world.tasks) == {"b"}
    world.complete("b")
    assert set(world.tasks) == {"clean"}


def test_the_skip_holds_for_one_run() -> None:
    """A run after it asks again."""
    world = World(GRAPH)
    world.trigger()
    world.end()
    world.rerun(Wanted(skip=("other",)))
    assert world.statuses["join"] == "skipped"
    assert world.rerun(Wanted("all")).skipped == frozenset()
    world.end()
    assert world.status == "completed"
    assert world.records["other"].skipped is None
