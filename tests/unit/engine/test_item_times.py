"""What a worker makes of the time that the map of an item has left."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest

from flowengine.engine.held import Held, Receipt
from flowengine.engine.ports import RunningStore, Start
from flowengine.engine.running.runner import Runner
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.execution.reports import Failed
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.plugin import Registry
from flowengine.settings import Limits
from tests.support.rigs.harness import NO_CALLS, ScriptedInvoker
from tests.unit.engine.tasks import task


def hand(*, until: int, started_at: int) -> TaskInHand:
    """A task of 60 seconds that has begun at this time."""
    what = msgspec.structs.replace(task("n"), timeout_ms=60_000, until=until)
    start = Start(True, {}, 10_000, started_at)
    return TaskInHand(Held(what, 1, "1-0/me", cast(Receipt, None)), start)


@pytest.mark.parametrize(
    ("until", "seconds"), [(0, 60), (1_000_000, 60), (61_000, 60), (31_000, 30), (1000, 0), (500, 0)]
)
def test_an_item_has_no_more_time_than_its_map(until: int, seconds: float) -> None:
    """Nor more than it says itself."""
    found = hand(until=until, started_at=1000)
    assert found.deadline == pytest.approx(found.began + seconds)


def test_an_item_whose_map_has_no_time_left_is_not_begun() -> None:
    """Its handler is not looked for."""

    def now() -> int:
        return 5000

    store, invoker = cast(RunningStore, None), ScriptedInvoker(lambda context: None)
    runner = Runner(store, Registry(), invoker, Secrets({}), Limits(), NO_CALLS, now)
    late = hand(until=5000, started_at=1000)
    outcome = runner.outcome_of(late, late.start)
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "timeout"
    assert "max_seconds were over before its turn came" in outcome.error.message
