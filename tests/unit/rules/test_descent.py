"""What follows below an end: the shapes that other engines got wrong, and how little must be read for it."""

from __future__ import annotations

import pytest

from flowengine.execution.events import Event
from flowengine.execution.records import NodeError, NodeRecord
from flowengine.execution.reports import Skipped
from flowengine.execution.rules.dispatching import Run, Sizes, dispatch_again
from flowengine.workflow.policy import Policy, TriggerRule
from tests.support.checks.reference_model import Graph
from tests.unit.execution.rule_cases import COMPLETED, FAILED, events, sent, written
from tests.unit.rules.world import TOLERATING, World, ruled

SKIPPED = Skipped()
CONDITIONAL = Policy(when="{{ 1 == 2 }}")
BRANCHES: Graph = {"a": (), "b": ("a",), "c": ("a",), "join": ("b", "c"), "more": ("join",), "end": ("more",)}
JOINS: tuple[TriggerRule, ...] = ("none_failed", "none_failed_min_one_success", "all_done", "one_success")


def started(graph: Graph, **policies: Policy | TriggerRule) -> World:
    """An execution that has been triggered."""
    said = {name: each if isinstance(each, Policy) else ruled(each) for name, each in policies.items()}
    world = World(graph, said)
    world.trigger()
    return world


# -- skipped branches


@pytest.mark.parametrize("rule", JOINS)
def test_what_follows_a_join_runs_though_one_branch_was_skipped(rule: TriggerRule) -> None:
    """Skip, then join, then more: a skip ends at the join whose rule allows it."""
    world = started(BRANCHES, join=rule)
    world.complete("a")
    world.report("b", SKIPPED)
    world.complete("c", "join", "more", "end")
    assert world.statuses == {**dict.fromkeys(BRANCHES, "completed"), "b": "skipped"}
    assert world.status == "completed"


def test_a_join_of_the_default_rule_is_skipped_with_one_of_its_branches() -> None:
    """When the other has ended, and all that follows with it, each with its reason."""
    world = started(BRANCHES, b=CONDITIONAL)
    world.complete("a")
    world.report("b", SKIPPED)
    assert world.status_of("join") == "pending"
    world.complete("c")
    assert world.status == "completed"
    reasons = {name: record.skipped for name, record in world.records.items() if record.skipped}
    assert reasons == {"b": "when", **dict.fromkeys(("join", "more", "end"), "upstream_skipped")}


@pytest.mark.parametrize(
    ("rule", "becomes"),
    [
        ("all_success", "skipped"),
        ("none_failed", "queued"),
        ("none_failed_min_one_success", "skipped"),
        ("all_done_min_one_success", "skipped"),
        ("one_success", "skipped"),
        ("all_done", "queued"),
        ("one_failed", "skipped"),
        ("all_failed", "skipped"),
    ],
)
def test_a_join_whose_branches_were_both_skipped(rule: TriggerRule, becomes: str) -> None:
    """It runs under the rules that ask for no success; it never hangs."""
    world = started(BRANCHES, join=rule)
    world.complete("a")
    world.report("b", SKIPPED)
    world.report("c", SKIPPED)
    assert world.status_of("join") == becomes
    world.end()
    assert world.status == "completed"


def test_a_branch_of_five_nodes_is_skipped_to_its_end() -> None:
    """In the transaction that skips its first, and the join runs on the other branch."""
    branch: Graph = {f"s{number}": (f"s{number - 1}",) if number else ("a",) for number in range(5)}
    graph: Graph = {"a": (), **branch, "c": ("a",), "join": ("s4", "c")}
    world = started(graph, join="none_failed_min_one_success")
    world.complete("a")
    decision = world.report("s0", SKIPPED)
    assert {name for name, record in written(decision.changes).items() if record.status == "skipped"} == set(
        branch
    )
    assert decision.tally.unfinished == -5
    world.complete("c", "join")
    assert world.status == "completed"


def test_a_skipped_node_keeps_its_numbers_and_is_told_with_its_reason() -> None:
    """A dispatch number never decreases: in a second run an old report could pass for a new one."""
    world = started({"a": (), "b": ("a",)}, a=CONDITIONAL)
    world.records["b"] = NodeRecord(attempt=3, dispatch=4)
    world.events.append(Event("node_reset", 1, "b", 3, 4))
    decision = world.report("a", SKIPPED)
    record = world.records["b"]
    assert (record.attempt, record.dispatch, record.finished_at) == (3, 4, world.now)
    assert events(decision.changes) == [
        Event("node_skipped", world.now, "a", 1, 1, "when"),
        Event("node_skipped", world.now, "b", 3, 4, "upstream_skipped"),
    ]


@pytest.mark.parametrize("first", ["failed", "skipped"])
@pytest.mark.parametrize(
    ("rule", "becomes"),
    [
        ("all_success", "failed"),
        ("none_failed", "failed"),
        ("none_failed_min_one_success", "failed"),
        ("all_done_min_one_success", "failed"),
        ("one_success", "failed"),
        ("all_done", "queued"),
        ("one_failed", "queued"),
        ("all_failed", "skipped"),
    ],
)
def test_a_join_with_one_failed_and_one_skipped(rule: TriggerRule, becomes: str, first: str) -> None:
    """The same, whichever ended first."""
    world = started({"b": (), "c": (), "join": ("b", "c"), "end": ("join",)}, join=rule)
    if first == "failed":
        world.fail("b")
    world.report("c", SKIPPED)
    if first == "skipped":
        world.fail("b")
    assert world.status_of("join") == becomes
    world.end()
    assert world.status == "failed"
    if becomes == "failed":
        assert world.causes()["join"] == "b"
        assert world.causes()["end"] == "b"


# -- failures that others live with


def test_a_failure_inside_a_branch_that_another_rule_tolerates() -> None:
    """The branch fails to its end, the join runs, and the execution has failed all the same."""
    graph: Graph = {"a": (), "b1": ("a",), "b2": ("b1",), "c": ("a",), "join": ("b2", "c"), "end": ("join",)}
    world = started(graph, join="all_done_min_one_success")
    world.complete("a")
    world.fail("b1")
    assert world.status_of("b2") == "failed"
    world.complete("c", "join", "end")
    assert world.status == "failed"
    assert world.statuses == {
        **dict.fromkeys(("a", "c", "join", "end"), "completed"),
        **dict.fromkeys(("b1", "b2"), "failed"),
    }


def test_what_follows_a_tolerated_failure_runs_and_the_execution_is_completed() -> None:
    """It is shown as failed, and counts as no failure."""
    world = started({"a": (), "b": ("a",)}, a=TOLERATING)
    decision = world.report("a", FAILED)
    assert (decision.tally.unfinished, decision.tally.failed) == (-1, 0)
    world.complete("b")
    assert (world.status, world.statuses) == ("completed", {"a": "tolerated", "b": "completed"})


def test_only_the_codes_that_are_named_are_tolerated() -> None:
    """Any other failure counts."""
    policy = Policy(tolerates=("http_404",))
    for code, becomes in (("http_404", "tolerated"), ("timeout", "failed")):
        world = started({"a": ()}, a=policy)
        world.fail("a", code=code)
        assert world.status_of("a") == becomes


def test_an_inherited_failure_is_never_tolerated() -> None:
    """`on_error` covers the node's own."""
    world = started({"a": (), "b": ("a",), "c": ("b",)}, b=TOLERATING)
    world.fail("a")
    assert world.statuses == dict.fromkeys("abc", "failed")
    assert world.causes() == {"a": None, "b": "a", "c": "a"}


@pytest.mark.parametrize("count", [2, 3])
def test_one_success_over_several_tolerated_nodes_fails(count: int) -> None:
    """Nobody completed: the first of them is named, and the execution has failed by it."""
    parents = [f"p{number}" for number in range(count)]
    graph: Graph = {**dict.fromkeys(parents, ()), "j": parents}
    world = started(graph, j="one_success", **dict.fromkeys(parents, TOLERATING))
    world.fail(*reversed(parents))
    assert world.status_of("j") == "failed"
    assert world.causes()["j"] == "p0"
    assert world.status == "failed"


def test_one_success_runs_at_once_and_a_later_failure_changes_the_verdict_only() -> None:
    """A decision that was taken stays."""
    world = started({"a": (), "b": (), "j": ("a", "b"), "end": ("j",)}, j="one_success")
    world.complete("a")
    assert world.status_of("j") == "queued"
    world.fail("b")
    world.complete("j", "end")
    assert world.statuses == {"a": "completed", "b": "failed", "j": "completed", "end": "completed"}
    assert world.status == "failed"


# -- what fails at once, and when that counts as an end


def test_cleanup_below_an_early_failure_waits_for_the_branch_that_still_runs() -> None:
    """`all_done` under a join that failed at once: the other branch still writes what is to be cleaned."""
    graph: Graph = {"a": (), "b": (), "join": ("a", "b"), "cleanup": ("join",)}
    world = started(graph, cleanup="all_done")
    world.fail("a")
    assert (world.status_of("join"), world.status_of("cleanup")) == ("failing", "pending")
    world.complete("b")
    assert (world.status_of("join"), world.status_of("cleanup")) == ("failed", "queued")
    world.complete("cleanup")
    assert world.status == "failed"


def test_cleanup_waits_through_all_that_failed_at_once() -> None:
    """A chain and another join below the first; an only child below a failing node is failing too."""
    graph: Graph = {
        "a": (),
        "b": (),
        "slow": (),
        "join": ("a", "b"),
        "next": ("join",),
        "second": ("next", "slow"),
        "last": ("second",),
        "cleanup": ("last",),
    }
    world = started(graph, cleanup="all_done")
    world.fail("a")
    failing = ("join", "next", "second", "last")
    assert all(world.status_of(node) == "failing" for node in failing)
    world.complete("b")
    assert [world.status_of(node) for node in failing] == ["failed", "failed", "failing", "failing"]
    assert world.status_of("cleanup") == "pending"
    world.complete("slow")
    assert [world.status_of(node) for node in failing] == ["failed"] * 4
    assert world.status_of("cleanup") == "queued"


def test_a_failure_that_nobody_waits_for_is_settled_at_once() -> None:
    """Nothing below asks when: no second write of it is needed."""
    world = started({"a": (), "b": (), "join": ("a", "b"), "end": ("join",)})
    decision = world.report("a", FAILED)
    assert not any(record.unsettled for record in written(decision.changes).values())
    assert world.status_of("join") == "failed"


def test_an_only_child_of_what_has_ended_is_settled_at_once() -> None:
    """All that it depends on has ended: the cleanup below it runs."""
    world = started({"a": (), "b": ("a",), "cleanup": ("b",)}, cleanup="all_done")
    world.fail("a")
    assert (world.status_of("b"), world.status_of("cleanup")) == ("failed", "queued")


def test_a_settled_failure_is_not_told_twice() -> None:
    """Settling changes no status: no event, and nothing is counted again."""
    graph: Graph = {"a": (), "b": (), "join": ("a", "b"), "cleanup": ("join",)}
    world = started(graph, cleanup="all_done")
    world.fail("a")
    world.complete("b")
    assert [event.kind for event in world.events if event.node == "join"] == ["node_failed"]


@pytest.mark.parametrize("length", [10, 1500])
def test_a_long_chain_below_an_early_failure_settles(length: int) -> None:
    """However long: each node of it is failing until the other branch has ended."""
    chain: Graph = {f"n{number}": (f"n{number - 1}",) if number else ("join",) for number in range(length)}
    graph: Graph = {"a": (), "b": (), "join": ("a", "b"), **chain, "cleanup": (f"n{length - 1}",)}
    world = started(graph, cleanup="all_done")
    world.fail("a")
    assert world.status_of(f"n{length - 1}") == "failing"
    world.complete("b")
    assert world.status_of("cleanup") == "queued"
    assert not any(record.unsettled for record in world.records.values())


# -- conditions that were known at the trigger


def test_a_condition_that_was_false_at_the_trigger_skips_the_node_without_a_task() -> None:
    """When its rule would run it, and not before; what is below follows."""
    world = World({"a": (), "b": ("a",), "c": ("b",), "d": ("a",)})
    world.trigger()
    world.records["b"] = NodeRecord(when=False)
    world.complete("a")
    assert (world.status_of("b"), world.status_of("c"), world.status_of("d")) == (
        "skipped",
        "skipped",
        "queued",
    )
    assert (world.records["b"].skipped, world.records["c"].skipped) == ("when", "upstream_skipped")


def test_a_condition_that_was_true_at_the_trigger_lets_the_node_run() -> None:
    """And stays with its record, for a later run."""
    world = World({"a": (), "b": ("a",)})
    world.trigger()
    world.records["b"] = NodeRecord(when=True)
    world.complete("a")
    assert (world.status_of("b"), world.records["b"].when) == ("queued", True)


def test_the_rule_is_asked_before_the_condition() -> None:
    """What fails with a node above it has failed, whatever its condition says."""
    world = World({"a": (), "b": ("a",)})
    world.trigger()
    world.records["b"] = NodeRecord(when=False)
    world.fail("a")
    assert world.status_of("b") == "failed"


# -- dispatched before all has ended


def test_a_node_that_begins_early_stores_what_it_cannot_see() -> None:
    """Which of the nodes that it reads had not ended; its task names them, and reads the others alone."""
    world = started({"a": (), "b": (), "j": ("a", "b")}, j="one_success")
    world.complete("b")
    task = world.tasks["j"]
    assert world.records["j"].unseen == (0,)
    assert (task.unseen, [read.node for read in task.reads]) == (("a",), ["b"])


def test_what_is_below_a_node_that_began_early_stores_it_too() -> None:
    """Its own parent has ended and is seen; what is above that may not have."""
    graph: Graph = {"a": (), "b": (), "j": ("a", "b"), "next": ("j",)}
    world = started(graph, j="one_success", next=Policy(sees=(0, 1)))
    world.complete("b", "j")
    task = world.tasks["next"]
    assert (task.unseen, task.sees, [read.node for read in task.reads]) == (("a",), ("b",), ["j"])


def test_an_only_child_that_may_begin_early_sees_what_it_depends_on() -> None:
    """The node whose end dispatches it has ended."""
    world = started({"a": (), "j": ("a",), "next": ("j",)}, j="one_success")
    world.complete("a")
    assert (world.tasks["j"].unseen, [read.node for read in world.tasks["j"].reads]) == ((), ["a"])
    world.complete("j")
    assert (world.tasks["next"].unseen, [read.node for read in world.tasks["next"].reads]) == ((), ["j"])


def test_what_ends_with_a_node_is_seen_by_what_it_dispatches() -> None:
    """A skip in the same transaction is an end."""
    graph: Graph = {"b": (), "a": (), "s": ("a",), "j": ("b", "s"), "next": ("s",)}
    world = started(graph, j="one_success", next=Policy(trigger_rule="all_done", sees=(1, 2)))
    world.report("a", SKIPPED)
    assert (world.tasks["next"].unseen, world.status_of("s")) == ((), "skipped")


def test_a_redelivery_sees_what_the_first_delivery_saw() -> None:
    """Though more has ended since: results never depend on which message was lost."""
    world = started({"a": (), "b": (), "j": ("a", "b")}, j="one_success")
    world.complete("b", "a")
    record = world.records["j"]
    (again,) = sent(dispatch_again(world.plan, 2, record, Run("x", 1, "c"), world.now))
    assert again.record.unseen == (0,)
    assert (again.task.unseen, [read.node for read in again.task.reads]) == (("a",), ["b"])


def test_a_node_that_begins_when_all_has_ended_stores_nothing() -> None:
    """All that it reads is there to be seen."""
    world = started({"a": (), "b": (), "j": ("a", "b")}, j="none_failed")
    world.complete("a", "b")
    assert (world.records["j"].unseen, world.tasks["j"].unseen) == ((), ())


# -- how much is done and read at once


def test_what_does_not_fit_is_looked_at_in_other_transactions() -> None:
    """Children under other rules too."""
    children = {f"c{number}": ("a",) for number in range(7)}
    policies = {name: ruled("all_done") for name in children}
    for outcome in (SKIPPED, COMPLETED):
        world = World({"a": (), **children}, policies, sizes=Sizes(chunk_nodes=2))
        world.trigger()
        decision = world.report("a", outcome)
        assert len(decision.later) == 7
        assert set(world.tasks) == set(children)


def test_a_completion_reads_no_child_that_does_not_fit() -> None:
    """They are read where they are dispatched."""
    world = World(
        {"a": (), "b": ("a",), "c": ("a",), "d": ("a",)},
        {"b": ruled("none_failed")},
        sizes=Sizes(chunk_nodes=2),
    )
    world.trigger()
    decision = world.report("a")
    assert decision.later == (1, 2, 3)
    assert decision.unread == ()


def test_a_join_is_looked_at_only_when_its_counter_says_so() -> None:
    """Not read for the first end; a `one_success` is looked at after every success."""
    for rule, reads in ((ruled("none_failed"), False), (ruled("one_success"), True)):
        world = started({"a": (), "b": (), "j": ("a", "b")}, j=rule)
        world.read = set()
        decision = world.report("a")
        assert decision.joins == ("j",)
        assert ("j" in world.read) == reads


def test_an_error_says_which_node_it_is_inherited_from() -> None:
    """In words, and with no try of its own."""
    world = started({"a": (), "b": (), "j": ("a", "b")}, j="none_failed")
    world.complete("a")
    world.fail("b")
    assert world.records["j"].error == NodeError(
        code="upstream_failed",
        message="not run: 'b', which it depends on, failed",
        caused_by="b",
        attempts=0,
    )


def test_a_failure_that_counts_is_named_before_a_tolerated_one() -> None:
    """Whichever stands first: the tolerated one has failed nothing."""
    world = started({"a": (), "b": (), "j": ("a", "b")}, a=TOLERATING, j="none_failed")
    world.fail("a", "b")
    assert world.causes()["j"] == "b"


def test_what_a_dispatch_goes_by_is_read_in_a_transaction_of_its_own() -> None:
    """A completion reads its children; what else they read is looked at where they are dispatched."""
    graph: Graph = {"a": (), "b": (), "j": ("a", "b"), "next": ("j",)}
    world = started(graph, j="one_success", next=Policy(sees=(0, 1)))
    world.complete("b")
    decision = world.report("j")
    assert (decision.unread, decision.later, decision.continues) == ((), (3,), False)
    assert world.status_of("next") == "queued"
