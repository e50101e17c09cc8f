"""What a failure takes with it, and how little of the graph must be read for it."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

import pytest

from flowengine.execution.changes import CountDown, Dispatch, Tally
from flowengine.execution.events import Event
from flowengine.execution.records import UNTOUCHED, NodeError, NodeRecord
from flowengine.execution.rules.decision import Decision
from flowengine.execution.rules.finishing import finish
from flowengine.execution.rules.readiness import Records, count_of, counter_of, records_of, step_of_counter
from flowengine.execution.status import StoredNodeStatus
from flowengine.heuristics import BELOW_AT_FIRST, BELOW_GROWS
from flowengine.workflow.plan import Plan
from tests.support.checks.reference_model import Graph
from tests.support.rigs.harness import diamond, plan_of
from tests.unit.execution.rule_cases import (
    BROKEN,
    CHAIN,
    FAILED,
    NOW,
    RUNNING,
    being,
    callback,
    events,
    failed_nodes,
    of_kind,
    written,
)

STEPS: Graph = {
    "top": (),
    "left": ("top",),
    "right": ("top",),
    "join": ("left", "right"),
    "end": ("join",),
    "aside": (),
}


def failing(graph: Graph, node: str, records: Records) -> Decision:
    """The decision on a node's failure."""
    return finish(plan_of(graph), RUNNING, records, callback(node, outcome=FAILED), NOW)


# -- what is marked


def test_a_failure_takes_everything_below_with_it() -> None:
    """Each with the cause named; and each off what is unfinished, once."""
    decision = failing(diamond(), "a", being(a="queued"))
    assert failed_nodes(decision.changes) == {"a": None, "b": "a", "c": "a", "d": "a"}
    assert of_kind(decision.changes, Tally) == [Tally(unfinished=-4, failed=4)]
    assert decision.tally == Tally(unfinished=-4, failed=4)
    assert not of_kind(decision.changes, Dispatch)


def test_a_failure_leaves_what_does_not_depend_on_it() -> None:
    """Other branches go on."""
    decision = failing(STEPS, "left", being(top="completed", left="queued", right="queued"))
    assert set(failed_nodes(decision.changes)) == {"left", "join", "end"}


@pytest.mark.parametrize("status", ["queued", "waiting", "completed", "failed", "skipped", "cancelled"])
def test_a_failure_stops_at_what_is_not_pending(status: StoredNodeStatus) -> None:
    """The process that ended that node has marked what is below it, and has counted it."""
    decision = failing(CHAIN, "a", being(a="queued", b=status))
    assert failed_nodes(decision.changes) == {"a": None}
    assert of_kind(decision.changes, Tally) == [Tally(unfinished=-1, failed=1)]


def test_a_failure_goes_round_what_is_not_pending() -> None:
    """Another path may lead to what is below it."""
    graph = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}
    decision = failing(graph, "a", being(a="queued", b="skipped"))
    assert set(failed_nodes(decision.changes)) == {"a", "c", "d"}


def test_what_fails_by_inheritance_keeps_its_numbers() -> None:
    """The dispatch number never decreases, or an old report could pass for a new one."""
    records = records_of(
        {
            "a": NodeRecord(status="queued", attempt=1, dispatch=1, run=2),
            "b": NodeRecord(attempt=4, dispatch=6, run=2),
        }
    )
    marked = written(failing(CHAIN, "a", records).changes)["b"]
    assert (marked.status, marked.attempt, marked.dispatch, marked.run) == ("failed", 4, 6, 2)


def test_every_node_that_fails_is_told() -> None:
    """With its own numbers and its error's code."""
    records = records_of(
        {
            "a": NodeRecord(status="queued", attempt=2, dispatch=1),
            "b": NodeRecord(attempt=4, dispatch=6),
        }
    )
    report = callback(attempt=2, outcome=FAILED)
    decision = finish(plan_of(CHAIN), RUNNING, records, report, NOW)
    assert events(decision.changes) == [
        Event("node_failed", NOW, "a", 2, 1, "boom"),
        Event("node_failed", NOW, "b", 4, 6, "upstream_failed"),
        Event("node_failed", NOW, "c", 0, 0, "upstream_failed"),
    ]


def test_a_failed_node_has_its_own_error_and_no_result() -> None:
    """What it inherits tells of no try."""
    marked = written(failing(CHAIN, "a", being(a="queued")).changes)
    assert marked["a"].error == BROKEN
    assert marked["b"].error == NodeError(
        code="upstream_failed",
        message="not run: 'a', which it depends on, failed",
        caused_by="a",
        attempts=0,
    )


# -- the joins' counters


def test_every_node_that_fails_tells_its_joins_how_it_ended() -> None:
    """Each once, also those that fail with it: their counters say so of every parent."""
    decision = failing(diamond(), "a", being(a="queued"))
    assert of_kind(decision.changes, CountDown) == [CountDown("d", completed=False)] * 2
    assert decision.joins == ()


def test_the_counters_after_a_failure_are_those_of_the_records() -> None:
    """Whatever a failure finds, the steps that it makes add up."""
    plan = plan_of(STEPS)
    before = {
        "top": NodeRecord(status="completed", attempt=1, dispatch=1),
        "left": NodeRecord(status="queued", attempt=1, dispatch=1),
        "right": NodeRecord(status="queued", attempt=1, dispatch=1),
    }
    join = plan.index["join"]
    counter = counter_of(plan, records_of(before), join)
    for node in ("left", "right"):
        decision = finish(plan, RUNNING, records_of(before), callback(node, outcome=FAILED), NOW)
        before |= written(decision.changes)
        counted = [c for c in decision.changes if isinstance(c, CountDown) and c.node == "join"]
        counter += sum(step_of_counter(completed=c.completed) for c in counted)
        assert counter == counter_of(plan, records_of(before), join)


def test_the_tallies_of_failures_are_those_of_the_records() -> None:
    """In whatever order the nodes fail."""
    plan = plan_of(STEPS)
    stored = {name: NodeRecord(status="queued", attempt=1, dispatch=1) for name in ("left", "right", "aside")}
    stored["top"] = NodeRecord(status="completed", attempt=1, dispatch=1)
    for node in ("right", "aside", "left"):
        before = count_of(plan, records_of(stored))
        decision = finish(plan, RUNNING, records_of(stored), callback(node, outcome=FAILED), NOW)
        stored |= written(decision.changes)
        after = count_of(plan, records_of(stored))
        assert (after.unfinished, after.failed) == (
            before.unfinished + decision.tally.unfinished,
            before.failed + decision.tally.failed,
        )


# -- what must be read for it


def unread_below(
    plan: Plan, node: str, records: Records, read: Collection[str], most: int
) -> tuple[str, ...]:
    """What a decision on the node's failure wants to be read first, at most `most` at once."""
    report = callback(node, outcome=FAILED)
    in_flight = records_of({node: NodeRecord(status="queued", attempt=1, dispatch=1)})

    def lookup(name: str) -> NodeRecord:
        return in_flight(name) if name == node else records(name)

    return finish(plan, RUNNING, lookup, report, NOW, read=read).unread[:most]


class Reader:
    """Reads records as a batch of callbacks does, and counts those that it asks for."""

    def __init__(self, plan: Plan, stored: dict[str, NodeRecord]) -> None:
        self.plan = plan
        self.stored = stored
        self.asked = 0
        self.rounds = 0

    def read_below(self, node: str) -> Records:
        """All that the failure of a node needs, in a transaction of its own; a lookup that has it."""
        read = {node}
        most = BELOW_AT_FIRST
        self.asked += 1

        def lookup(name: str) -> NodeRecord:
            assert name in read, f"'{name}' is decided on and was not read"
            return self.stored.get(name, UNTOUCHED)

        while wanted := unread_below(self.plan, node, lookup, read, most):
            assert not read & set(wanted), "read twice"
            read |= set(wanted)
            self.asked += len(wanted)
            self.rounds += 1
            most *= BELOW_GROWS
        return lookup

    def fail(self, node: str) -> Decision:
        """Decide on a node's failure by what was read, and store what it changes."""
        lookup = self.read_below(node)
        decision = finish(self.plan, RUNNING, lookup, callback(node, outcome=FAILED), NOW)
        self.stored |= written(decision.changes)
        return decision


def queued(*nodes: str) -> dict[str, NodeRecord]:
    """Records of nodes in flight."""
    return {node: NodeRecord(status="queued", attempt=1, dispatch=1) for node in nodes}


def test_nothing_below_need_be_read_where_nothing_is() -> None:
    """A leaf's failure takes no read beside its own."""
    assert unread_below(plan_of(CHAIN), "c", being(), {"c"}, 16) == ()


def test_what_is_nearest_is_read_first() -> None:
    """No more than was asked for, and through what is not read yet, so that few rounds do."""
    plan = plan_of(STEPS)
    assert unread_below(plan, "top", being(), {"top"}, 2) == ("left", "right")
    assert unread_below(plan, "top", being(), {"top"}, 16) == ("left", "right", "join", "end")
    assert unread_below(plan, "top", being(), {"top", "left", "right"}, 16) == ("join", "end")


@pytest.mark.parametrize("status", ["queued", "completed", "failed", "skipped"])
def test_nothing_is_read_below_what_is_not_pending(status: StoredNodeStatus) -> None:
    """It has ended, or somebody else will end it."""
    assert unread_below(plan_of(CHAIN), "a", being(b=status), {"a", "b"}, 16) == ()
    assert unread_below(plan_of(CHAIN), "a", being(b="pending"), {"a", "b"}, 16) == ("c",)


def test_a_join_is_read_though_one_path_to_it_is_closed() -> None:
    """The other leads to it."""
    plan = plan_of(STEPS)
    read = {"top", "left", "right"}
    assert unread_below(plan, "top", being(left="failed"), read, 16) == ("join", "end")
    assert unread_below(plan, "top", being(left="failed", right="failed"), read, 16) == ()


def test_all_that_a_failure_marks_has_been_read() -> None:
    """Through any number of levels, in rounds that grow."""
    chain: Graph = {f"n{at}": (f"n{at - 1}",) if at else () for at in range(300)}
    reader = Reader(plan_of(chain), queued("n0"))
    decision = reader.fail("n0")
    assert len(failed_nodes(decision.changes)) == 300
    assert (reader.asked, reader.rounds) == (300, 3)


def test_many_failures_above_a_long_chain_read_it_once() -> None:
    """500 nodes that fail, all above one chain of 499: each looks at a few, and only the first at all."""
    above = [f"f{at}" for at in range(500)]
    below = [f"c{at}" for at in range(499)]
    chain = {name: (before,) for before, name in pairwise(below)}
    graph: Graph = {**dict.fromkeys(above, ()), below[0]: above, **chain}
    reader = Reader(plan_of(graph), queued(*above))
    first = reader.fail(above[0])
    assert len(failed_nodes(first.changes)) == 500
    assert reader.asked == 500
    for name in above[1:]:
        assert list(failed_nodes(reader.fail(name).changes)) == [name]
    assert reader.asked <= 500 + 499 * (1 + BELOW_AT_FIRST)
    assert count_of(reader.plan, records_of(reader.stored)).unfinished == 0


def test_failures_one_below_the_other_read_what_is_left_only() -> None:
    """Each node of a ladder has a chain of its own; none is read for another's failure twice."""
    sides: Graph = {f"s{at}": () for at in range(50)}
    rungs: Graph = {f"r{at}": (f"s{at}", *((f"r{at - 1}",) if at else ())) for at in range(50)}
    reader = Reader(plan_of({**sides, **rungs}), queued(*sides))
    for at in reversed(range(50)):
        reader.fail(f"s{at}")
    assert count_of(reader.plan, records_of(reader.stored)).unfinished == 0
    assert reader.asked <= 50 * (1 + BELOW_AT_FIRST)
