"""When an execution ends, and how."""

from __future__ import annotations

import pytest

from flowengine.execution.changes import Finish, Happened
from flowengine.execution.events import Event
from flowengine.execution.records import Control, Counts
from flowengine.execution.rules.concluding import conclude
from flowengine.execution.status import ALL_EXECUTION_STATUSES, ExecutionStatus
from tests.unit.execution.rule_cases import NOW, RUNNING


@pytest.mark.parametrize(("failed", "verdict"), [(0, "completed"), (1, "failed"), (1000, "failed")])
def test_an_execution_ends_when_nothing_is_unfinished(failed: int, verdict: ExecutionStatus) -> None:
    """Failed if anything has failed."""
    assert conclude(RUNNING, Counts(0, failed), NOW) == (
        Finish(verdict, NOW),
        Happened(Event("execution_finished", NOW, detail=verdict)),
    )


@pytest.mark.parametrize("failed", [0, 1])
@pytest.mark.parametrize("unfinished", [1, 1000, -1, -1000])
def test_an_execution_ends_at_exactly_0(unfinished: int, failed: int) -> None:
    """A number below 0 is wrong: the sweep corrects it, and the execution ends by the right one."""
    assert conclude(RUNNING, Counts(unfinished, failed), NOW) == ()


@pytest.mark.parametrize("failed", [0, 1])
@pytest.mark.parametrize("status", [status for status in ALL_EXECUTION_STATUSES if status != "running"])
def test_an_execution_does_not_end_twice_nor_before_it_runs(status: ExecutionStatus, failed: int) -> None:
    """Only a running one ends."""
    assert conclude(Control(status, 1), Counts(0, failed), NOW) == ()


def test_bytes_of_results_say_nothing_of_the_end() -> None:
    """They are never taken off."""
    assert conclude(RUNNING, Counts(0, 0, 5_000_000), NOW) != ()
