"""How an execution begins: created, triggered, triggered again."""

from __future__ import annotations

import pytest

from flowengine.execution.changes import Begin, Change, Happened, Send, Write
from flowengine.execution.events import Event, fold
from flowengine.execution.messages import StartExecution
from flowengine.execution.records import Attempt, ExecutionRecord, NodeRecord
from flowengine.execution.rules.dispatching import Run, start_of
from flowengine.execution.rules.readiness import counter_of, records_of
from flowengine.execution.rules.starting import (
    EVENTS_ANEW_EVERY,
    begins_events_anew,
    first_run,
    opening,
    retry_failed,
)
from flowengine.execution.status import ExecutionStatus, IllegalStepError, StoredNodeStatus
from tests.support.checks.reference_model import Says
from tests.support.rigs.harness import diamond, plan_of
from tests.unit.execution.rule_cases import BROKEN, NOW, events, of_kind, written
from tests.unit.rules.world import ruled, with_policies

PLAN = plan_of(diamond())
HALF_FAILED = {
    "a": NodeRecord(status="completed", attempt=1, dispatch=1, finished_at=7),
    "b": NodeRecord(status="failed", attempt=3, dispatch=5, error=BROKEN, queued_at=1, finished_at=9),
    "c": NodeRecord(status="completed", attempt=1, dispatch=2, finished_at=8),
    "d": NodeRecord(status="failed", error=BROKEN, finished_at=9),
}
"""`b` has failed, and `d`, which was never dispatched, with it."""


def execution(status: ExecutionStatus, run: int) -> ExecutionRecord:
    """An execution as the trigger finds it."""
    return ExecutionRecord(
        status=status,
        run=run,
        total=4,
        created_at=1,
        started_at=2,
        finished_at=3,
        correlation_id="c",
        name="test",
        token="before",
    )


BEGUN = ExecutionRecord("running", 1, 4, 1, 5, 0, "c", "test", "t", started_by="ops")


def retried(stored: dict[str, NodeRecord], *, run: int = 1) -> list[Change]:
    """The changes of a trigger of an execution that failed in this run."""
    return retry_failed("x", PLAN, execution("failed", run), stored, "t", NOW)


def begin_of(changes: list[Change]) -> Begin:
    """The one that begins the run."""
    (begin,) = of_kind(changes, Begin)
    assert isinstance(begin, Begin)
    return begin


# -- the first run


def test_the_first_run_counts_the_parents_of_joins_only() -> None:
    """Other nodes need no counter; no node is written, and no event is told."""
    changes = first_run("x", PLAN, execution("pending", 0), "t", NOW)
    assert begin_of(changes) == Begin(
        was="pending", status="running", run=1, token="t", at=NOW, unfinished=4, counters={"d": 2}
    )
    assert not of_kind(changes, Write, Happened)


def test_the_first_run_sends_one_start() -> None:
    """With the execution's own correlation id, which is that of its creation, and the nodes that it begins
    with."""
    changes = first_run("x", PLAN, execution("pending", 0), "t", NOW)
    start = StartExecution(execution="x", run=1, correlation_id="c", nodes=4, roots=("a",))
    assert of_kind(changes, Send) == [Send(start)]


@pytest.mark.parametrize(
    ("roots", "told"),
    [
        ([f"n{at}" for at in range(8)], True),
        ([f"n{at}" for at in range(9)], False),
        (["n" * 128, "m" * 128], True),
        (["n" * 128, "m" * 129], False),
    ],
)
def test_a_start_names_few_roots_and_short_ones(roots: list[str], told: bool) -> None:
    """The message stays small, whatever nodes are called."""
    plan = plan_of(dict.fromkeys(roots, ()))
    start = start_of(Run("x", 1, "c"), plan, len(roots))
    assert start.roots == (tuple(roots) if told else ())
    assert not start_of(Run("x", 2, "c"), plan, len(roots)).roots, "a later run begins elsewhere"


def test_the_opening_tells_the_run_and_its_trigger() -> None:
    """The process that dispatches the first node appends it."""
    assert opening(BEGUN) == Event("execution_started", 5, detail="1", by="ops")


@pytest.mark.parametrize("status", ["running", "paused", "cancelling", "completed"])
def test_only_what_is_pending_failed_or_cancelled_begins_a_run(status: ExecutionStatus) -> None:
    """The command has refused it before; here it is a defect."""
    with pytest.raises(IllegalStepError):
        first_run("x", PLAN, execution(status, 0), "t", NOW)
    with pytest.raises(IllegalStepError):
        retry_failed("x", PLAN, execution(status, 1), HALF_FAILED, "t", NOW)


# -- later runs


def test_a_retry_resets_what_failed_and_keeps_the_rest() -> None:
    """Attempts and dispatch numbers are kept, errors and times are not."""
    changes = retried(HALF_FAILED)
    assert written(changes) == {"b": NodeRecord(attempt=3, dispatch=5, run=2), "d": NodeRecord(run=2)}
    assert events(changes) == [
        Event("execution_started", NOW, detail="2"),
        Event("node_reset", NOW, "b", 3, 5),
        Event("node_reset", NOW, "d", 0),
    ]


def test_a_retry_begins_the_next_run() -> None:
    """What is reset is unfinished; every node that has a record loses its expiry."""
    begin = begin_of(retried(HALF_FAILED))
    assert (begin.was, begin.status, begin.run, begin.token, begin.at) == ("failed", "running", 2, "t", NOW)
    assert (begin.unfinished, begin.counters) == (2, {"d": 1})
    assert set(begin.touched) == set(HALF_FAILED)
    assert not begin.events_anew


def test_a_retry_sends_one_start() -> None:
    """Of the new run."""
    assert of_kind(retried(HALF_FAILED), Send) == [
        Send(StartExecution(execution="x", run=2, correlation_id="c", nodes=4))
    ]


def test_the_counters_after_a_retry_are_those_of_the_records() -> None:
    """For every join that has not completed, whichever of its parents had failed."""
    graph = {
        "a": (),
        "b": (),
        "c": (),
        "ab": ("a", "b"),
        "bc": ("b", "c"),
        "abc": ("a", "b", "c"),
        "top": ("ab", "bc", "abc"),
    }
    plan = plan_of(graph)
    stored = {
        "a": NodeRecord(status="completed", attempt=1, dispatch=1),
        "b": NodeRecord(status="completed", attempt=1, dispatch=1),
        "c": NodeRecord(status="failed", attempt=1, dispatch=1, error=BROKEN),
        "ab": NodeRecord(status="completed", attempt=1, dispatch=1),
        "bc": NodeRecord(status="failed", error=BROKEN),
        "abc": NodeRecord(status="failed", error=BROKEN),
        "top": NodeRecord(status="failed", error=BROKEN),
    }
    changes = retry_failed("x", plan, execution("failed", 1), stored, "t", NOW)
    after = records_of(stored | written(changes))
    assert begin_of(changes).counters == {"bc": 1, "abc": 1, "top": 2}
    for name, counter in begin_of(changes).counters.items():
        assert counter == counter_of(plan, after, plan.index[name])


@pytest.mark.parametrize("status", ["waiting", "queued"])
def test_what_cannot_be_reset_is_a_defect(status: StoredNodeStatus) -> None:
    """An execution that has ended has nothing in flight, and nothing that waits."""
    with pytest.raises(IllegalStepError):
        retried({**HALF_FAILED, "d": NodeRecord(status=status, attempt=1, dispatch=1)})


def test_a_join_that_stays_keeps_a_counter_if_a_parent_of_it_is_repeated() -> None:
    """The parent's end moves it, and a number that begins from nothing would say what is not so."""
    graph = {"a": (), "b": (), "j": ("a", "b"), "k": ("a", "j")}
    plan = with_policies(plan_of(graph), {"j": ruled("one_success"), "k": ruled("one_success")})
    stored = {
        "a": NodeRecord(status="completed", attempt=1, dispatch=1),
        "b": NodeRecord(status="failed", attempt=1, dispatch=1, error=BROKEN),
        "j": NodeRecord(status="completed", attempt=1, dispatch=1),
        "k": NodeRecord(status="completed", attempt=1, dispatch=1),
    }
    changes = retry_failed("x", plan, execution("failed", 1), stored, "t", NOW)
    assert set(written(changes)) == {"b"}
    assert begin_of(changes).counters == {"j": 1}


# -- events begin anew now and then


def test_events_begin_anew_every_tenth_run() -> None:
    """The first run has none before it."""
    assert EVENTS_ANEW_EVERY == 10
    assert [run for run in range(1, 41) if begins_events_anew(run)] == [10, 20, 30, 40]


def test_events_that_begin_anew_fold_to_the_stored_state() -> None:
    """They tell of what has completed before, at the time when it did."""
    changes = retried(HALF_FAILED, run=EVENTS_ANEW_EVERY - 1)
    assert begin_of(changes).events_anew
    told = events(changes)
    assert told[:2] == [
        Event("execution_started", NOW, detail="10"),
        Event("node_completed", 7, "a", 1, 1),
    ]
    after = HALF_FAILED | written(changes)
    assert fold(told) == {
        name: (record.status, record.attempt, record.dispatch) for name, record in after.items()
    }


def test_the_events_of_other_runs_are_added_to_those_before() -> None:
    """What has completed is told already."""
    assert all(event.kind != "node_completed" for event in events(retried(HALF_FAILED)))


# -- what stays of a node that is reset


def test_the_attempt_before_is_kept() -> None:
    """With its times and its error; a node that never ran has none."""
    broken = NodeRecord(
        status="failed",
        attempt=2,
        dispatch=3,
        queued_at=1,
        started_at=2,
        finished_at=3,
        delivery=1,
        error=BROKEN,
    )
    inherited = NodeRecord(status="failed", finished_at=3, error=BROKEN)
    writes = {w.node: w for w in retried({"a": broken, "b": inherited}) if isinstance(w, Write)}
    assert writes["a"].kept == Attempt(1, 2, 3, 1, BROKEN)
    assert writes["b"].kept is None


def test_what_has_completed_asks_anew_once_it_is_reset() -> None:
    """Its idempotency key is another one then, and its moment; those of a failed one go by how it failed."""
    plan = plan_of({"a": (), "b": ("a",)}, says={"b": Says("all_done")})
    stored = {
        "a": NodeRecord(status="failed", attempt=1, dispatch=1, error=BROKEN, answered=1, moment=3),
        "b": NodeRecord(status="completed", attempt=1, dispatch=1, answered=4, moment=3),
    }
    changes = retry_failed("x", plan, execution("failed", 1), stored, "t", NOW)
    reset = {node: (record.answered, record.moment) for node, record in written(changes).items()}
    assert reset == {"a": (1, 3), "b": (5, None)}
