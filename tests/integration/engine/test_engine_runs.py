"""What is told of the runs of an execution."""

from __future__ import annotations

import pytest

from flowengine.access.acting import Note, acting
from flowengine.access.records import Actor
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import BadCursorError
from flowengine.execution.history.runs import KEPT_RUNS
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.store import keys
from tests.support.checks.invariants import CheckEverything
from tests.support.rigs.harness import Harness, failing_in, plan_of

EVERYTHING = RerunAsked(Wanted("all"))


def told(harness: Harness, execution: str) -> list[tuple[int, str, str, str | None, str | None]]:
    """Of each run: its number, its status, and why it began."""
    page = harness.api.executions.runs(execution, limit=500)
    assert page.next_cursor is None
    return [(run.run, run.status, run.why.kind, run.why.mode, run.why.by) for run in page.items]


def test_runs_tell_how_they_ended_and_why_they_began(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The newest first; the last one as the execution is now."""
    harness.script = failing_in(1, "a")
    execution = harness.begin(plan_of({"a": (), "b": ("a",)}))
    harness.drain()
    with acting(Note(action="trigger_execution", actor=Actor(key="ops"))):
        harness.trigger(execution)
    harness.drain()
    harness.api.executions.rerun(execution, EVERYTHING)
    assert told(harness, execution) == [
        (3, "running", "rerun", "all", None),
        (2, "completed", "trigger", None, "ops"),
        (1, "failed", "trigger", None, None),
    ]
    harness.drain()
    first = harness.api.executions.runs(execution, limit=500).items[-1]
    assert first.error is not None
    assert (first.error.code, first.error.node, first.counts.failed) == ("boom", "a", 2)
    assert first.started_at is not None
    assert first.finished_at is not None
    assert first.started_at <= first.finished_at
    check_invariants()


def test_what_was_never_triggered_has_no_run(harness: Harness) -> None:
    """Nor has what was cancelled before."""
    execution = harness.create(plan_of({"a": ()}))
    assert told(harness, execution) == []
    harness.cancel(execution)
    assert told(harness, execution) == []


@pytest.mark.proves("runs-kept")
def test_the_newest_runs_are_kept(harness: Harness, check_invariants: CheckEverything) -> None:
    """However often an execution runs; a page follows the other."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.drain()
    for _ in range(KEPT_RUNS + 4):
        harness.api.executions.rerun(execution, EVERYTHING)
        harness.drain()
    last = KEPT_RUNS + 5
    found, cursor = [], None
    while True:
        page = harness.api.executions.runs(execution, limit=20, cursor=cursor)
        found += [run.run for run in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == list(range(last, last - KEPT_RUNS, -1))
    assert harness.client.hlen(keys.of().runs(execution)) == 2 * KEPT_RUNS - 1
    with pytest.raises(BadCursorError):
        harness.api.executions.runs(execution, limit=20, cursor="x")
    check_invariants()


def test_what_is_told_of_runs_expires_and_is_deleted_with_the_execution(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """It stays while the execution runs."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.drain()
    name = keys.of().runs(execution)
    for _ in range(2):
        harness.api.executions.rerun(execution, EVERYTHING)
        assert harness.client.ttl(name) == -1
        harness.drain()
        assert harness.client.ttl(name) > 0
    check_invariants()
    harness.delete(execution)
    harness.drain()
    assert not harness.client.exists(name)
