"""The tables of statuses and steps, beside a copy that was written by hand.

The copy is the point: a step that somebody adds to the rules must be added here, with open eyes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Final, get_args

import pytest

from flowengine.execution import status
from flowengine.execution.status import (
    ExecutionStatus,
    ExecutionStep,
    IllegalStepError,
    NodeStatus,
    NodeStep,
    SkipReason,
    StoredNodeStatus,
)

NODES: Final[tuple[NodeStatus, ...]] = (
    "pending",
    "queued",
    "running",
    "waiting",
    "completed",
    "failed",
    "skipped",
    "cancelled",
)
STORED: Final[tuple[StoredNodeStatus, ...]] = (
    "pending",
    "queued",
    "open",
    "waiting",
    "completed",
    "failed",
    "skipped",
    "cancelled",
)
EXECUTIONS: Final[tuple[ExecutionStatus, ...]] = (
    "pending",
    "running",
    "paused",
    "cancelling",
    "completed",
    "failed",
    "cancelled",
)

NODE_STEPS: Final[dict[tuple[StoredNodeStatus, NodeStep], StoredNodeStatus]] = {
    ("pending", "dispatch"): "queued",
    ("pending", "inherit_failure"): "failed",
    ("pending", "skip"): "skipped",
    ("pending", "reset"): "pending",
    ("queued", "dispatch_again"): "queued",
    ("queued", "complete"): "completed",
    ("queued", "fail"): "failed",
    ("queued", "skip"): "skipped",
    ("queued", "wait"): "waiting",
    ("queued", "open"): "open",
    ("open", "complete"): "completed",
    ("open", "fail"): "failed",
    ("open", "wait"): "waiting",
    ("open", "judge"): "queued",
    ("open", "cancel"): "cancelled",
    ("open", "skip_by_hand"): "skipped",
    ("open", "complete_by_hand"): "completed",
    ("open", "fail_by_hand"): "failed",
    ("waiting", "try_again"): "queued",
    ("waiting", "call_again"): "queued",
    ("waiting", "complete"): "completed",
    ("waiting", "fail"): "failed",
    ("waiting", "wait"): "waiting",
    ("waiting", "iterate"): "queued",
    ("queued", "iterate"): "queued",
    ("pending", "line_up"): "waiting",
    ("waiting", "line_up"): "waiting",
    ("queued", "line_up"): "waiting",
    ("pending", "cancel"): "cancelled",
    ("queued", "cancel"): "cancelled",
    ("waiting", "cancel"): "cancelled",
    ("cancelled", "reset"): "pending",
    ("pending", "skip_by_hand"): "skipped",
    ("pending", "complete_by_hand"): "completed",
    ("pending", "fail_by_hand"): "failed",
    ("queued", "skip_by_hand"): "skipped",
    ("queued", "complete_by_hand"): "completed",
    ("queued", "fail_by_hand"): "failed",
    ("waiting", "skip_by_hand"): "skipped",
    ("waiting", "complete_by_hand"): "completed",
    ("waiting", "fail_by_hand"): "failed",
    ("completed", "settle"): "completed",
    ("completed", "reset"): "pending",
    ("failed", "settle"): "failed",
    ("failed", "reset"): "pending",
    ("skipped", "settle"): "skipped",
    ("skipped", "reset"): "pending",
}
ALL_NODE_STEPS: Final[tuple[NodeStep, ...]] = (
    "dispatch",
    "dispatch_again",
    "complete",
    "fail",
    "inherit_failure",
    "settle",
    "skip",
    "open",
    "wait",
    "line_up",
    "try_again",
    "call_again",
    "iterate",
    "judge",
    "cancel",
    "skip_by_hand",
    "complete_by_hand",
    "fail_by_hand",
    "reset",
)

EXECUTION_STEPS: Final[dict[tuple[ExecutionStatus, ExecutionStep], ExecutionStatus]] = {
    ("pending", "trigger"): "running",
    ("pending", "queue"): "pending",
    ("pending", "admit"): "running",
    ("pending", "withdraw"): "pending",
    ("completed", "queue"): "pending",
    ("failed", "queue"): "pending",
    ("cancelled", "queue"): "pending",
    ("running", "complete"): "completed",
    ("running", "fail"): "failed",
    ("failed", "trigger"): "running",
    ("cancelled", "trigger"): "running",
    ("completed", "rerun"): "running",
    ("failed", "rerun"): "running",
    ("cancelled", "rerun"): "running",
    ("running", "stop"): "running",
    ("paused", "stop"): "running",
    ("running", "pause"): "paused",
    ("paused", "resume"): "running",
    ("paused", "complete"): "completed",
    ("paused", "fail"): "failed",
    ("running", "cancel"): "cancelling",
    ("paused", "cancel"): "cancelling",
    ("cancelling", "end_cancelled"): "cancelled",
    ("cancelling", "complete"): "completed",
    ("cancelling", "fail"): "failed",
    ("cancelling", "stop"): "cancelling",
    ("pending", "end_cancelled"): "cancelled",
    ("pending", "give_up"): "failed",
}
ALL_EXECUTION_STEPS: Final[tuple[ExecutionStep, ...]] = (
    "trigger",
    "rerun",
    "queue",
    "admit",
    "withdraw",
    "pause",
    "resume",
    "stop",
    "cancel",
    "complete",
    "fail",
    "end_cancelled",
    "give_up",
)

FINAL: Final = {"completed", "failed", "skipped", "cancelled"}
SUCCESS: Final = {"completed"}
IN_FLIGHT: Final = {"queued"}

OVER: Final = {"completed", "failed", "cancelled"}
TAKES_REPORTS: Final = {"running", "paused", "cancelling"}
LETS_DISPATCH: Final = {"running"}
LETS_DECIDE: Final = {"running", "paused"}

SKIP_REASONS: Final = ("when", "upstream_skipped", "trigger_rule", "ended_early", "operator")

UNREACHED_NODES: Final[set[str]] = set()
UNREACHED_EXECUTIONS: Final = set[str]()
"""Nothing leads there yet."""


# -- what there is


def test_the_statuses_are_those_of_the_specification() -> None:
    """In its order. `running` is derived, and never stored."""
    assert get_args(NodeStatus) == NODES
    assert get_args(ExecutionStatus) == EXECUTIONS
    assert get_args(StoredNodeStatus) == STORED
    assert get_args(SkipReason) == SKIP_REASONS
    assert set(NODES) - set(STORED) == {"running"}
    assert status.ALL_EXECUTION_STATUSES == EXECUTIONS


def test_every_status_has_its_sentence() -> None:
    """One sentence, ended by a full stop, and no two alike."""
    assert tuple(status.NODE_STATUSES) == NODES
    assert tuple(status.EXECUTION_STATUSES) == EXECUTIONS
    for sentences in (status.NODE_STATUSES.values(), status.EXECUTION_STATUSES.values()):
        assert len(set(sentences)) == len(sentences)
        for sentence in sentences:
            assert sentence.strip() == sentence
            assert (sentence[:1].isupper(), sentence.count("."), sentence[-1:]) == (True, 1, ".")


def test_the_steps_are_these() -> None:
    """Each is taken somewhere in the table."""
    assert get_args(NodeStep) == ALL_NODE_STEPS
    assert get_args(ExecutionStep) == ALL_EXECUTION_STEPS
    assert {step for _, step in NODE_STEPS} == set(ALL_NODE_STEPS)
    assert {step for _, step in EXECUTION_STEPS} == set(ALL_EXECUTION_STEPS)


# -- what leads where


def test_the_table_of_nodes_is_the_copy() -> None:
    """Every status has its row."""
    assert tuple(status.NODE_STEPS) == STORED
    stored = {
        (before, step): after for before, row in status.NODE_STEPS.items() for step, after in row.items()
    }
    assert stored == NODE_STEPS


def test_the_table_of_executions_is_the_copy() -> None:
    """Every status has its row."""
    assert tuple(status.EXECUTION_STEPS) == EXECUTIONS
    stored = {
        (before, step): after for before, row in status.EXECUTION_STEPS.items() for step, after in row.items()
    }
    assert stored == EXECUTION_STEPS


@pytest.mark.parametrize(("before", "step"), list(product(STORED, ALL_NODE_STEPS)))
def test_a_node_takes_the_steps_of_the_table_and_no_other(before: StoredNodeStatus, step: NodeStep) -> None:
    """What is not in the table is a defect, which says what was tried."""
    after = NODE_STEPS.get((before, step))
    assert status.may(before, step) == (after is not None)
    if after is not None:
        assert status.after(before, step) == after
    else:
        with pytest.raises(IllegalStepError, match=f"a node that is {before} has no step '{step}'"):
            status.after(before, step)


@pytest.mark.parametrize(("before", "step"), list(product(EXECUTIONS, ALL_EXECUTION_STEPS)))
def test_an_execution_takes_the_steps_of_the_table_and_no_other(
    before: ExecutionStatus, step: ExecutionStep
) -> None:
    """What is not in the table is a defect, which says what was tried."""
    after = EXECUTION_STEPS.get((before, step))
    assert status.execution_may(before, step) == (after is not None)
    if after is not None:
        assert status.execution_after(before, step) == after
    else:
        with pytest.raises(IllegalStepError, match=f"an execution that is {before} has no step '{step}'"):
            status.execution_after(before, step)


def test_the_statuses_that_no_step_reaches_are_known() -> None:
    """They wait for the features that bring them; all others are reached from `pending`."""
    nodes = [(before, after) for (before, _), after in NODE_STEPS.items()]
    executions = [(before, after) for (before, _), after in EXECUTION_STEPS.items()]
    assert set(STORED) - _reached(nodes) == UNREACHED_NODES
    assert set(EXECUTIONS) - _reached(executions) == UNREACHED_EXECUTIONS


def _reached(steps: Iterable[tuple[str, str]]) -> set[str]:
    """The statuses to which steps lead from `pending`."""
    reached, fresh = {"pending"}, {"pending"}
    while fresh:
        fresh = {after for before, after in steps if before in reached} - reached
        reached |= fresh
    return reached


# -- what follows from a status


@pytest.mark.parametrize("one", STORED)
def test_what_a_nodes_status_means(one: StoredNodeStatus) -> None:
    """Whether it has ended, with success, or is in flight."""
    assert status.is_final(one) == (one in FINAL)
    assert status.counts_as_success(one) == (one in SUCCESS)
    assert status.is_in_flight(one) == (one in IN_FLIGHT)
    assert status.is_open(one) == (one == "open")
    assert status.shown(one) == ("running" if one == "open" else one)


@pytest.mark.parametrize("one", EXECUTIONS)
def test_what_an_executions_status_means(one: ExecutionStatus) -> None:
    """Whether it is over, takes reports, may be dispatched from, and its pending nodes decided about."""
    assert status.is_over(one) == (one in OVER)
    assert status.takes_reports(one) == (one in TAKES_REPORTS)
    assert status.lets_dispatch(one) == (one in LETS_DISPATCH)
    assert status.lets_decide(one) == (one in LETS_DECIDE)


def test_predicates_and_tables_say_the_same() -> None:
    """A node that has ended is left by a reset alone; one in flight ends by a report; so do executions."""
    for (before, step), after in NODE_STEPS.items():
        assert (step == "reset") == (after == "pending")
        reports = ("dispatch_again", "complete", "fail", "wait", "open")
        assert (before in {*IN_FLIGHT, "open", "waiting"}) >= (step in reports)
        assert (before in FINAL) == (step == "settle" or (step == "reset" and before != "pending"))
        assert (step == "cancel") == (after == "cancelled")
        assert before not in FINAL or after in {before, "pending"}
    for was, taken in EXECUTION_STEPS:
        assert (was in TAKES_REPORTS) == (
            taken not in ("trigger", "rerun", "queue", "admit", "withdraw", "end_cancelled", "give_up")
            or was == "cancelling"
        )
    assert LETS_DISPATCH < LETS_DECIDE < TAKES_REPORTS
    assert not TAKES_REPORTS & OVER
    assert set(EXECUTIONS) == {"pending"} | TAKES_REPORTS | OVER


def test_what_is_in_flight_takes_every_outcome_and_what_waits_ends_by_what_it_waits_for() -> None:
    """A worker's report of a node that waits comes from before the wait: see the rules of reports."""
    outcomes: set[NodeStep] = {"complete", "fail", "skip", "wait"}
    taken = {one: {step for (before, step) in NODE_STEPS if before == one} & outcomes for one in STORED}
    assert taken["queued"] == outcomes
    assert taken["waiting"] == outcomes - {"skip"}
    assert taken["open"] == outcomes - {"skip"}
    assert not any(taken[one] for one in STORED if one in FINAL)
