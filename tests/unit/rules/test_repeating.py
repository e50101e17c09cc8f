"""What follows when an iteration has ended: the rules alone."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.execution.error_codes import REPEAT_EXHAUSTED
from flowengine.execution.records import NodeError, NodeRecord, Repeated
from flowengine.execution.reports import Again
from flowengine.execution.rules.repeating import (
    after_iteration,
    awaits_iteration,
    begun_again,
    completed,
    exhausted,
    exhaustion,
    sent,
)
from flowengine.workflow.policy import Policy
from flowengine.workflow.repeating.repeat import Repeat

ONE = Again(msgspec.Raw(b"12"))
AT = Repeated(number=3, ended=2, since=1000, kept=6, delayed=True)
RUNS = NodeRecord(status="queued", attempt=5, dispatch=6, tried=2, since=9000, moment=9000, repeated=AT)


def policy(*, collects: bool = False, reads_previous: bool = False, when: str | None = None) -> Policy:
    """That of a node that repeats."""
    return Policy(when=when, repeat=Repeat("{{ x }}", collects=collects, reads_previous=reads_previous))


def test_the_next_iteration_has_all_its_tries_and_a_moment_of_its_own() -> None:
    """What counted for the one that has ended does not count for it."""
    record, iteration = after_iteration(policy(when="{{ y }}"), RUNS, Again())
    assert record.repeated == Repeated(number=3, ended=3, since=1000, kept=0, delayed=True)
    assert (record.tried, record.since, record.moment, record.when) == (0, 0, None, True)
    assert iteration.number == 5
    assert iteration.attempt is not None
    assert iteration.attempt.iteration == 3
    assert (iteration.previous, iteration.collected) == (None, None)


@pytest.mark.parametrize(("collects", "kept"), [(True, 9), (False, 2)])
def test_what_an_iteration_gave_is_kept_as_the_node_says(collects: bool, kept: int) -> None:
    """The list grows by it and a comma; without a list, only the last one is kept."""
    record, iteration = after_iteration(policy(collects=collects, reads_previous=True), RUNS, ONE)
    assert record.repeated is not None
    assert record.repeated.kept == kept
    assert iteration.previous == ONE.value
    assert iteration.collected == (ONE.value if collects else None)


def test_a_wait_before_the_first_iteration_is_none() -> None:
    """Nothing has ended with it, and it is not waited for again."""
    waits = Policy(repeat=Repeat("{{ x }}", initial_delay_s=5))
    assert waits.repeat is not None
    first = NodeRecord(status="queued", attempt=1, dispatch=1)
    repeated = sent(waits.repeat, first, 1000)
    assert repeated == Repeated(number=0, since=1000)
    record, iteration = after_iteration(waits, msgspec.structs.replace(first, repeated=repeated), Again())
    assert iteration.attempt is None
    assert sent(waits.repeat, record, 9000) == Repeated(number=1, since=1000, delayed=True)


@pytest.mark.parametrize(
    ("ended", "before", "most", "pause_ms", "now", "why"),
    [
        (1, 0, 3, 0, 1000, None),
        (2, 0, 3, 0, 1000, "max_iterations"),
        (2, 2, 3, 0, 1000, None),
        (4, 2, 3, 0, 1000, "max_iterations"),
        (0, 0, 3, 500, 1500, None),
        (0, 0, 3, 501, 1500, "max_seconds"),
    ],
)
def test_limits_count_from_where_the_node_has_gone_on(
    ended: int, before: int, most: int, pause_ms: int, now: int, why: str | None
) -> None:
    """By number, and by the time at which the next one would begin."""
    at = Repeated(number=ended + 1, ended=ended, before=before, since=1000)
    assert exhausted(at, most, 1000, pause_ms, now) == why


def test_a_failed_node_goes_on_with_its_iteration_and_an_exhausted_one_with_the_next() -> None:
    """Which then may have as many again."""
    failed = msgspec.structs.replace(RUNS, status="failed", error=NodeError("boom", "it failed"))
    assert begun_again(failed) == msgspec.structs.replace(AT, since=0)
    done = msgspec.structs.replace(AT, ended=3)
    error = exhaustion(Repeat("{{ x }}"), done, "max_iterations")
    assert error.code == REPEAT_EXHAUSTED.code
    over = msgspec.structs.replace(RUNS, status="failed", error=error, repeated=done)
    assert begun_again(over) == msgspec.structs.replace(done, since=0, before=3)
    assert begun_again(NodeRecord(status="failed")) is None


def test_a_node_that_waits_for_another_try_does_not_wait_for_an_iteration() -> None:
    """It has an error."""
    waits = msgspec.structs.replace(RUNS, status="waiting")
    assert awaits_iteration(waits)
    assert not awaits_iteration(msgspec.structs.replace(waits, error=NodeError("boom", "it failed")))
    assert not awaits_iteration(NodeRecord(status="waiting"))


def test_a_completed_node_has_ended_the_iteration_in_flight() -> None:
    """And nothing is kept of it beside its result."""
    assert completed(RUNS) == Repeated(number=3, ended=3, since=1000, delayed=True)
    assert completed(NodeRecord(status="queued")) is None
