"""What a trigger of an ended execution begins again (LANGUAGE section 4), and what stays."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.execution.changes import Tally, Write
from flowengine.execution.events import Event
from flowengine.execution.records import Attempt, ExecutionRecord, NodeRecord
from flowengine.execution.reports import Skipped
from flowengine.execution.rules.readiness import records_of
from flowengine.execution.rules.starting import retry_failed
from flowengine.execution.rules.steering.rerunning import rerun_of
from flowengine.workflow.policy import Policy, TriggerRule
from tests.support.checks.reference_model import Graph
from tests.support.rigs.harness import plan_of
from tests.unit.execution.rule_cases import BROKEN, FAILED, NOW, events, of_kind, written
from tests.unit.rules.world import TOLERATING, World, ruled, with_policies

SKIPPED = Skipped()
COMPLETED = NodeRecord(status="completed", attempt=1, dispatch=1)
BROKEN_ONE = NodeRecord(status="failed", attempt=1, dispatch=1, error=BROKEN)
LEFT_OUT = NodeRecord(status="skipped", skipped="when")
ENDED = ExecutionRecord("failed", 1, 3, 1, 2, 3, "c", "test", "before")


def reset_of(graph: Graph, stored: dict[str, NodeRecord], **policies: Policy | TriggerRule) -> set[str]:
    """The nodes that begin again."""
    said = {name: each if isinstance(each, Policy) else ruled(each) for name, each in policies.items()}
    plan = with_policies(plan_of(graph), said)
    return {plan.nodes[position].id for position in rerun_of(plan, records_of(stored)).reset}


def repeated(world: World) -> set[str]:
    """The nodes that are of the newest run."""
    return {name for name, record in world.records.items() if record.run == world.run}


def test_everything_below_a_failure_begins_again_whatever_its_status() -> None:
    """Completed, skipped or failed with it: it was decided by what may be otherwise now."""
    graph: Graph = {"a": (), "b": (), "join": ("a", "b"), "end": ("join",), "other": ("b",), "left": ("a",)}
    stored = {
        "a": BROKEN_ONE,
        "b": COMPLETED,
        "join": COMPLETED,
        "end": LEFT_OUT,
        "other": COMPLETED,
        "left": BROKEN_ONE,
    }
    assert reset_of(graph, stored, join="all_done") == {"a", "join", "end", "left"}


def test_what_is_above_a_failure_stays() -> None:
    """Nothing is run twice that did not fail."""
    assert reset_of({"a": (), "b": ("a",)}, {"a": COMPLETED, "b": BROKEN_ONE}) == {"b"}


@pytest.mark.parametrize("status", ["cancelled", "pending"])
def test_what_was_stopped_begins_again(status: str) -> None:
    """With what is below."""
    stored = {"a": NodeRecord(status=status), "b": COMPLETED}  # type: ignore[arg-type]  # one of the statuses
    assert reset_of({"a": (), "b": ("a",)}, stored) == {"a", "b"}


@pytest.mark.parametrize(
    ("reason", "begins"),
    [
        ("when", False),
        ("upstream_skipped", False),
        ("trigger_rule", False),
        ("operator", False),
        ("ended_early", True),
    ],
)
def test_what_was_skipped_because_the_execution_had_ended_begins_again(reason: str, begins: bool) -> None:
    """Every other skip was a decision, and stays one while nothing above it begins again."""
    stored = {"a": NodeRecord(status="skipped", skipped=reason), "b": COMPLETED}  # type: ignore[arg-type]
    assert reset_of({"a": (), "b": ("a",)}, stored, b="all_done") == ({"a", "b"} if begins else set())


def test_a_tolerated_failure_stays_and_so_does_what_is_below_it() -> None:
    """It fails nothing."""
    tolerated = NodeRecord(status="failed", attempt=1, dispatch=1, error=BROKEN, tolerated=True)
    stored = {"a": tolerated, "b": COMPLETED, "c": BROKEN_ONE}
    assert reset_of({"a": (), "b": ("a",), "c": ()}, stored, a=TOLERATING) == {"c"}


def test_a_tolerated_failure_below_one_that_begins_again_does_too() -> None:
    """It may succeed now, or never be reached."""
    tolerated = NodeRecord(status="failed", attempt=1, dispatch=1, error=BROKEN, tolerated=True)
    graph: Graph = {"a": (), "b": ("a",)}
    assert reset_of(graph, {"a": BROKEN_ONE, "b": tolerated}, b="all_done") == {"a", "b"}


ONE_OF_TWO: Graph = {"a": (), "b": (), "j": ("a", "b"), "end": ("j",)}


@pytest.mark.parametrize(
    ("a", "j", "begins"),
    [
        (COMPLETED, COMPLETED, {"b"}),
        (LEFT_OUT, COMPLETED, {"b", "j", "end"}),
        (BROKEN_ONE, COMPLETED, {"a", "b", "j", "end"}),
        (COMPLETED, BROKEN_ONE, {"b", "j", "end"}),
        (COMPLETED, LEFT_OUT, {"b", "j", "end"}),
    ],
)
def test_a_completed_one_success_stays_while_a_success_of_it_stays(
    a: NodeRecord, j: NodeRecord, begins: set[str]
) -> None:
    """With all below it. `b` has failed in each of these."""
    stored = {"a": a, "b": BROKEN_ONE, "j": j, "end": COMPLETED}
    assert reset_of(ONE_OF_TWO, stored, j="one_success") == begins


def test_a_one_success_whose_success_begins_again_does_too() -> None:
    """Above its success something failed, of which that did not depend on success."""
    graph: Graph = {"x": (), "a": ("x",), "b": (), "j": ("a", "b")}
    stored = {"x": BROKEN_ONE, "a": COMPLETED, "b": LEFT_OUT, "j": COMPLETED}
    assert reset_of(graph, stored, a="all_done", j="one_success") == {"x", "a", "j"}


@pytest.mark.parametrize("rule", ["none_failed", "all_done", "all_done_min_one_success"])
def test_no_other_rule_lets_a_completed_node_stay(rule: TriggerRule) -> None:
    """It ran by how all of them had ended."""
    stored = {"a": COMPLETED, "b": BROKEN_ONE, "j": COMPLETED, "end": COMPLETED}
    assert reset_of(ONE_OF_TWO, stored, j=rule) == {"b", "j", "end"}


def test_the_order_of_the_document_does_not_matter() -> None:
    """A parent may stand after its child."""
    graph: Graph = {"end": ("join",), "join": ("a", "b"), "b": (), "a": ()}
    stored = {"end": COMPLETED, "join": COMPLETED, "b": COMPLETED, "a": BROKEN_ONE}
    assert reset_of(graph, stored, join="all_done") == {"a", "join", "end"}


# -- what is written


def test_the_result_of_what_begins_again_goes_and_frees_its_bytes() -> None:
    """A node that then fails or is skipped has none, and the limit counts what there is."""
    plan = with_policies(plan_of({"a": (), "b": ("a",), "c": ("b",)}), {"b": ruled("all_done")})
    counted = NodeRecord(status="completed", attempt=1, dispatch=1, counted=5000)
    stored = {
        "a": BROKEN_ONE,
        "b": counted,
        "c": NodeRecord(status="completed", attempt=1, dispatch=1, counted=70_000),
    }
    changes = retry_failed("x", plan, ENDED, stored, "t", NOW)
    anew = {change.node: change.anew for change in changes if isinstance(change, Write)}
    assert anew == {"a": False, "b": True, "c": True}
    assert of_kind(changes, Tally) == [Tally(bytes=-75_000)]
    assert all(record.counted == 0 for record in written(changes).values())


def test_nothing_is_freed_where_nothing_was_counted() -> None:
    """Small results are not."""
    changes = retry_failed("x", plan_of({"a": ()}), ENDED, {"a": BROKEN_ONE}, "t", NOW)
    assert not of_kind(changes, Tally)


def test_what_was_decided_of_a_node_is_forgotten() -> None:
    """Reasons, tolerance, what it could not see, its tries, and what the first trigger said of its `when`."""
    before = NodeRecord(
        status="failed",
        attempt=4,
        dispatch=6,
        error=BROKEN,
        unsettled=True,
        when=True,
        unseen=(1,),
        tried=2,
        since=5,
    )
    changes = retry_failed("x", plan_of({"a": ()}), ENDED, {"a": before}, "t", NOW)
    assert written(changes) == {"a": NodeRecord(attempt=4, dispatch=6, run=2)}


def test_events_that_begin_anew_tell_of_skips_and_tolerated_failures() -> None:
    """So that they fold to what is stored; each with the time of its end, its reason or its code."""
    graph: Graph = {"a": (), "b": (), "c": (), "d": ()}
    stored = {
        "a": BROKEN_ONE,
        "b": NodeRecord(status="skipped", skipped="when", finished_at=7),
        "c": NodeRecord(status="failed", attempt=1, dispatch=1, error=BROKEN, tolerated=True, finished_at=8),
        "d": NodeRecord(status="completed", attempt=1, dispatch=1, finished_at=9),
    }
    record = ExecutionRecord("failed", 9, 4, 1, 2, 3, "c", "test", "before")
    told = events(retry_failed("x", plan_of(graph), record, stored, "t", NOW))
    assert told == [
        Event("execution_started", NOW, detail="10"),
        Event("node_reset", NOW, "a", 1, 1),
        Event("node_skipped", 7, "b", 0, 0, "when"),
        Event("node_failed", 8, "c", 1, 1, "boom"),
        Event("node_completed", 9, "d", 1, 1),
    ]


# -- to the end


def test_what_failed_with_a_node_is_decided_anew() -> None:
    """Cleanup that ran is run again, a node that waited for a failure is not."""
    graph: Graph = {"a": (), "b": ("a",), "cleanup": ("b",), "alarm": ("a",)}
    world = World(graph, {"cleanup": ruled("all_done"), "alarm": ruled("one_failed")})
    world.trigger()
    world.fail("a")
    world.complete("cleanup", "alarm")
    world.trigger()
    assert repeated(world) == set(graph)
    world.complete("a", "b", "cleanup")
    assert world.statuses == {**dict.fromkeys(graph, "completed"), "alarm": "skipped"}
    assert world.status == "completed"
    assert world.records["cleanup"].attempt == 2


def test_a_join_that_stays_is_not_run_again_by_what_ends_below_it() -> None:
    """A `one_success` that had its success: the other dependency ends once more, and moves its counter."""
    for outcome in (FAILED, SKIPPED, None):
        world = World({"a": (), "b": (), "j": ("a", "b"), "end": ("j",)}, {"j": ruled("one_success")})
        world.trigger()
        world.complete("a", "j", "end")
        world.fail("b")
        world.trigger()
        assert repeated(world) == {"b"}
        world.complete("b") if outcome is None else world.report("b", outcome)
        assert world.status == ("failed" if outcome is FAILED else "completed")
        assert world.records["j"].attempt == 1


def test_a_skipped_branch_stays_skipped_and_its_join_is_decided_anew() -> None:
    """By the skip of the first run and the completion of the second."""
    graph: Graph = {"s": (), "b": (), "join": ("s", "b")}
    world = World(graph, {"join": ruled("none_failed_min_one_success")})
    world.trigger()
    world.report("s", SKIPPED)
    world.fail("b")
    assert world.status_of("join") == "failed"
    world.trigger()
    assert repeated(world) == {"b", "join"}
    world.complete("b", "join")
    assert world.status == "completed"


# -- what is kept of attempts, and the number in the idempotency key


def test_the_last_attempt_of_what_begins_again_is_kept() -> None:
    """Its times, its delivery and its error."""
    before = msgspec.structs.replace(BROKEN_ONE, queued_at=3, started_at=4, finished_at=5, delivery=2)
    changes = retry_failed("x", plan_of({"a": ()}), ENDED, {"a": before}, "t", NOW)
    (write,) = of_kind(changes, Write)
    assert isinstance(write, Write)
    assert write.kept == Attempt(3, 4, 5, 2, BROKEN)


def test_a_run_in_which_a_node_was_not_tried_keeps_no_attempt_of_it() -> None:
    """It failed with another or was skipped: the attempt of an earlier run keeps its own error."""
    inherited = NodeRecord(status="failed", attempt=1, dispatch=1, error=BROKEN, finished_at=5, run=2)
    skipped = msgspec.structs.replace(inherited, status="skipped", error=None, skipped="trigger_rule")
    plan = plan_of({"a": (), "b": ("a",), "c": ("a",)})
    record = msgspec.structs.replace(ENDED, run=2)
    stored = {"a": BROKEN_ONE, "b": inherited, "c": skipped}
    changes = retry_failed("x", plan, record, stored, "t", NOW)
    kept = {change.node: change.kept for change in changes if isinstance(change, Write)}
    assert (kept["b"], kept["c"]) == (None, None)


@pytest.mark.parametrize(
    ("record", "moment"),
    [
        (msgspec.structs.replace(COMPLETED, queued_at=5, moment=3), None),
        (msgspec.structs.replace(BROKEN_ONE, queued_at=5, moment=3), 3),
        (msgspec.structs.replace(BROKEN_ONE, queued_at=5, answered=1), None),
    ],
)
def test_a_node_that_begins_again_keeps_its_moment_with_its_key(
    record: NodeRecord, moment: int | None
) -> None:
    """A failed one says by its moment whether its key has stayed; a completed one has a new key."""
    plan = plan_of({"a": (), "b": ("a",)})
    changes = retry_failed("x", plan, ENDED, {"a": BROKEN_ONE, "b": record}, "t", NOW)
    assert written(changes)["b"].moment == moment


@pytest.mark.parametrize(
    ("record", "answered"),
    [(COMPLETED, 1), (BROKEN_ONE, 0), (LEFT_OUT, 0)],
)
def test_a_completed_node_that_begins_again_asks_for_something_else(
    record: NodeRecord, answered: int
) -> None:
    """Its idempotency key changes; that of a failed one has changed with its failure, if it was answered."""
    plan = plan_of({"a": (), "b": ("a",)})
    changes = retry_failed("x", plan, ENDED, {"a": BROKEN_ONE, "b": record}, "t", NOW)
    assert written(changes)["b"].answered == answered
