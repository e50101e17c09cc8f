"""What was read ahead of a callback may be out of date by the time it comes; nothing counts twice."""

from __future__ import annotations

from tests.support.checks.invariants import CheckEverything
from tests.support.checks.reference_model import expected_values
from tests.support.rigs.harness import Harness, failing_in, plan_of

CHAIN = {"a": (), "b": ("a",), "c": ("b",), "d": ("c",)}


def up_to_b(harness: Harness) -> str:
    """An execution whose first orchestrator has read ahead for b's callback, which waits."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    harness.run_tasks("a")
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.run_tasks("b")
    return execution


def test_a_callback_that_another_has_applied_counts_once(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The copy that comes to the one who still thinks the node is queued finds otherwise."""
    execution = up_to_b(harness)
    copy = harness.callback_of("b")
    assert harness.deliver(harness.second_orchestrator(), copy)
    assert harness.deliver(harness.orchestrators[0], copy)
    assert harness.statuses(execution) == {"a": "completed", "b": "completed", "c": "queued", "d": "pending"}
    assert len(harness.tasks()) == 1
    harness.drain()
    assert harness.results(execution) == expected_values(CHAIN)
    check_invariants()


def test_a_later_run_is_started_by_what_is_true_then(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Who dispatched a node in the first run has read it then, in vain: it fails elsewhere. The second run's
    start finds nothing to do in that, and must not believe it."""
    harness.script = failing_in(1, "a")
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    harness.run_tasks("a")
    assert harness.deliver(harness.second_orchestrator(), *harness.callbacks())
    assert harness.trigger(execution) == 2
    harness.start_executions()
    assert harness.statuses(execution)["a"] == "queued"
    harness.drain()
    assert harness.results(execution) == expected_values(CHAIN)
    check_invariants()


def test_a_long_chain_under_two_orchestrators_ends_as_under_one(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Either orchestrator may get the callback, whatever the other has read ahead."""
    harness.second_orchestrator()
    graph = {f"n{at}": (f"n{at - 1}",) if at else () for at in range(30)}
    execution = harness.begin(plan_of(graph))
    harness.drain()
    assert harness.results(execution) == expected_values(graph)
    check_invariants()
