"""Statistics: each end counts once, in its hour, whatever crashes; what is stored is bounded."""

from __future__ import annotations

from contextlib import suppress
from itertools import count

import pytest

from flowengine.errors import FlowEngineError
from flowengine.execution.changes import Finish
from flowengine.execution.views.operations import StatsView
from flowengine.observability.metrics.gauges import EXECUTIONS
from flowengine.store import keys
from flowengine.store.operations.ended_counts import (
    EXPIRY_AGAIN_MS,
    HOUR_MS,
    KEPT_HOURS,
    NAMES_AN_HOUR,
    NEVER_BEGUN,
    EndedCounts,
    length_of,
    longest_ms,
)
from flowengine.store.operations.stats import DEFINITIONS_SHOWN
from tests.support.faults import WAYS, Gate, ProcessDied
from tests.support.rigs.harness import Harness, failing_in, plan_of

ONE = {"a": ()}
STATUSES = ("pending", "running", "paused", "cancelling", "completed", "cancelled")


def stats(harness: Harness) -> StatsView:
    """As the API tells them."""
    return harness.api.executions.operations.stats()


def ended(view: StatsView) -> tuple[int, int, int]:
    """Completed, failed, cancelled in the last day."""
    return view.last_day.completed, view.last_day.failed, view.last_day.cancelled


def put(harness: Harness, hours_ago: int, **fields: int) -> None:
    """Let so much have ended some hours ago, by fields as they are stored."""
    key = keys.of().ended(harness.now() // HOUR_MS - hours_ago)
    harness.client.hset(key, mapping={name.replace("_", ":"): number for name, number in fields.items()})
    harness.client.expire(key, 60)


def test_ends_are_counted_by_status_hour_and_name(harness: Harness) -> None:
    """Each run that ends, one that was never begun too."""
    harness.begin(plan_of(ONE, name="daily"))
    harness.drain()
    harness.script = failing_in(1, "a")
    failed = harness.begin(plan_of(ONE, name="daily"))
    harness.drain()
    harness.script = lambda context: None
    harness.cancel(harness.create(plan_of(ONE, name="weekly")))
    view = stats(harness)
    assert ended(view) == (1, 1, 1)
    assert [(each.name, each.completed, each.failed, each.cancelled) for each in view.definitions] == [
        ("daily", 1, 1, 0),
        ("weekly", 0, 0, 1),
    ]
    assert (view.executions["completed"], view.executions["failed"], view.executions["running"]) == (1, 1, 0)
    assert view.last_hour.durations is not None
    assert view.last_hour.per_minute > 0
    harness.trigger(failed)
    harness.drain()
    assert ended(stats(harness)) == (2, 1, 1)


def test_the_paused_and_the_cancelling_are_counted_apart(harness: Harness) -> None:
    """Each execution that has not ended counts once, whatever it was before."""

    def kept() -> list[int]:
        found = stats(harness).executions
        gauges = harness.api.executions.operations.gauges()
        (shown,) = [reading.values for reading in gauges if reading.gauge is EXECUTIONS]
        assert found == {labels[0]: count for labels, count in shown.items()}
        return [
            found[status]
            for status in ("pending", "running", "paused", "cancelling", "completed", "cancelled")
        ]

    held, stopped, begun, _ = (harness.begin(plan_of(ONE)) for _ in range(4))
    harness.create(plan_of(ONE))
    harness.start_executions()
    for each in (held, stopped):
        harness.api.executions.pause(each)
    assert kept() == [1, 2, 2, 0, 0, 0]
    harness.cancel(stopped)
    harness.cancel(begun)
    assert kept() == [1, 1, 1, 2, 0, 0]
    harness.api.executions.resume(held)
    harness.api.executions.pause(held)
    harness.drain()
    assert kept() == [1, 0, 0, 0, 2, 2]


@pytest.mark.proves("end-counted")
def test_an_end_counts_once_whatever_crashes(harness: Harness) -> None:
    """An orchestrator dies or fails before or after each of the commands that end an execution."""
    done = 0
    for way in WAYS:
        for at in count(1, 3):
            harness.begin(plan_of(ONE))
            harness.start_executions()
            harness.run_tasks()
            harness.gate = gate = Gate(at=at, way=way)
            harness.orchestrators[0].reborn()
            with suppress(ProcessDied, FlowEngineError):
                harness.deliver(harness.orchestrators[0], *harness.callbacks())
            harness.gate = Gate()
            harness.orchestrators[0].reborn()
            harness.drain()
            done += 1
            assert ended(stats(harness)) == (done, 0, 0), f"{way} at {at} ({gate.struck})"
            if gate.struck is None:
                break


def test_the_last_day_is_all_that_is_told(harness: Harness) -> None:
    """24 hours, the oldest first; of the hour before them only what lies within the last day."""
    put(harness, 1, completed_0_4=2, failed_11_10=1)
    put(harness, 25, completed_3_4=100, n_completed_old=100)
    view = stats(harness)
    assert len(view.hours) == 24
    assert [hour.begins_at for hour in view.hours] == sorted(hour.begins_at for hour in view.hours)
    assert (view.hours[-2].completed, view.hours[-2].failed) == (2, 1)
    assert ended(view) == (2, 1, 0)
    assert view.definitions == ()


def test_durations_are_upper_bounds(harness: Harness) -> None:
    """Of the class that the quantile lies in; what never began has none."""
    put(harness, 1, **{"completed_0_0": 50, "completed_0_20": 45, "failed_0_30": 5, "cancelled_0_-1": 1000})
    durations = stats(harness).last_day.durations
    assert durations is not None
    assert (durations.p50_s, durations.p95_s, durations.p99_s) == (0.001, 1.024, 32.768)


def test_what_cannot_be_read_is_left_out(harness: Harness) -> None:
    """A field of another version, for example."""
    put(harness, 1, completed_0_4=1, completed_0=7, x=7, paused_0_4=7)
    assert ended(stats(harness)) == (1, 0, 0)


def test_only_so_many_definitions_are_shown(harness: Harness) -> None:
    """Those of which most have ended."""
    put(harness, 0, **{f"n_failed_{number}": number + 1 for number in range(DEFINITIONS_SHOWN + 7)})
    found = stats(harness).definitions
    assert len(found) == DEFINITIONS_SHOWN
    assert (found[0].failed, found[-1].failed) == (DEFINITIONS_SHOWN + 7, 8)


@pytest.mark.parametrize("took_ms", [0, 1, 2, 3, 999, 1000, 1001, 86_400_000, 10**12])
def test_a_class_bounds_what_is_in_it(took_ms: int) -> None:
    """From above, and by less than the square root of two."""
    bound = longest_ms(length_of(took_ms))
    assert took_ms <= bound * 1.000001
    assert took_ms <= 1 or bound < took_ms * 2**0.5 * 1.000001
    assert length_of(None) == NEVER_BEGUN


def test_names_that_are_too_many_in_an_hour_count_together() -> None:
    """The next hour begins anew; long names are cut."""
    counts, names = EndedCounts(), keys.of()

    def counted(name: str, hour: int) -> str:
        _, (_, key, field, by), *expires = counts.commands(names, Finish("failed", hour * HOUR_MS, 1), name)
        assert (key, by) == (f"fe:ended:{hour}", 1)
        hours = [(f"fe:ended:{hour - 1}", hour + KEPT_HOURS), (key, hour + 1 + KEPT_HOURS)]
        assert expires == [("EXPIREAT", each, end * 3600) for each, end in hours]
        return str(field)

    for number in range(NAMES_AN_HOUR):
        assert counted(f"w{number}", 5) == f"n:failed:w{number}"
    assert counted("one more", 5) == "n:failed:other"
    assert counted("w0", 5) == "n:failed:w0"
    assert counted("one more", 6) == "n:failed:one more"
    assert len(counted("x" * 10_000, 6)) < 120


def test_an_hour_is_told_once_a_minute_when_it_expires() -> None:
    """By what is stored: a transaction that is refused has told nothing."""
    counts, names = EndedCounts(), keys.of()

    def tells(at: int) -> bool:
        return any(name == "EXPIREAT" for name, *_ in counts.commands(names, Finish("failed", at, 1), "w"))

    at = 5 * HOUR_MS
    assert tells(at)
    assert tells(at), "nothing is stored yet"
    counts.committed(at)
    assert not tells(at + 1)
    counts.committed(at + 1)
    assert not tells(at + EXPIRY_AGAIN_MS - 1)
    assert tells(at + EXPIRY_AGAIN_MS)
    assert tells(at + HOUR_MS), "the next hour has a hash of its own"
    assert tells(at - 1), "and so has the one before"
