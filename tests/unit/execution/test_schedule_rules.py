"""What becomes of a schedule when it is applied and looked at, as a rule over one record."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.execution.schedules.records import MAX_RUNNING, Outcome, ScheduleRecord
from flowengine.execution.schedules.rules import GRACE_MS, arm, look, pause, resume, started
from flowengine.workflow.schedules.declared import Overlap, Schedule

MINUTE = 60_000
EVERY = Schedule(every_s=60)


def armed(schedule: Schedule = EVERY) -> ScheduleRecord:
    """One that was applied at 0."""
    return arm(schedule, 1, None, 0)


def changed(**fields: object) -> Schedule:
    """The same, but for these."""
    return msgspec.structs.replace(EVERY, **fields)


def test_what_was_noticed_in_time_is_not_missed_however_long_its_message_waits() -> None:
    """A long queue is no outage."""
    found = look(armed(changed(catch_up="none")), (), 50 * MINUTE, MINUTE + GRACE_MS)
    assert (found.starts, found.record.next) == (MINUTE, 2 * MINUTE)
    late = look(armed(changed(catch_up="none")), (), 50 * MINUTE + 1, 50 * MINUTE + 1)
    assert (late.starts, late.outcomes) == (
        50 * MINUTE,
        (Outcome("missed", MINUTE, 50 * MINUTE + 1, until=49 * MINUTE),),
    )


def test_an_end_starts_what_waits_and_decides_about_no_time() -> None:
    """That of the next time comes with its own message."""
    record = msgspec.structs.replace(armed(changed(overlap="queue")), waiting=MINUTE, next=2 * MINUTE)
    found = look(record, (), 3 * MINUTE, None)
    assert (found.starts, found.record.waiting, found.record.next) == (MINUTE, None, 2 * MINUTE)
    assert look(found.record, (), 3 * MINUTE, None).starts is None


@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel_running"])
def test_what_has_ended_holds_nothing_up(overlap: Overlap) -> None:
    """It is forgotten with the look that finds it so."""
    record = started(armed(changed(overlap=overlap)), "e1", 0)
    held = look(record, (), MINUTE, MINUTE)
    assert (held.starts, held.outcomes[-1].execution) == (None, "e1")
    free = look(record, {"e1"}, MINUTE, MINUTE)
    assert (free.starts, free.record.running) == (MINUTE, ())


def test_an_operators_pause_stays_whatever_the_document_says() -> None:
    """A resume stays until the document says something else about it."""
    paused = pause(armed(changed(paused=True)), 5, "ops").record
    for said in (True, False, True):
        paused = arm(changed(paused=said), 2, paused, 10)
        assert paused.is_paused
    resumed = resume(paused, 20, None).record
    assert not arm(changed(paused=True), 3, resumed, 30).is_paused
    assert arm(changed(paused=True), 3, arm(EVERY, 3, resumed, 30), 40).is_paused


def test_another_timing_counts_from_now_and_the_same_goes_on() -> None:
    """Seconds count from the first apply in any case."""
    record = look(armed(), (), MINUTE, MINUTE).record
    assert arm(EVERY, 2, record, 90_000).next == 2 * MINUTE
    assert arm(changed(every_s=50), 2, record, 90_000).next == 100_000
    assert arm(Schedule(cron="@hourly"), 2, record, 90_000).next == 60 * MINUTE
    same = arm(Schedule(cron="0 * * * *"), 3, arm(Schedule(cron="@hourly"), 2, record, 90_000), 99 * MINUTE)
    assert same.next == 60 * MINUTE


def test_what_waits_is_dropped_by_a_pause_and_told() -> None:
    """It was missed."""
    record = msgspec.structs.replace(armed(changed(overlap="queue")), waiting=MINUTE)
    found = pause(record, 5, None)
    assert (found.record.waiting, found.outcomes) == (None, (Outcome("missed", MINUTE, 5),))
    assert pause(found.record, 6, None).record == found.record
    assert resume(armed(), 6, None).record == armed()


def test_so_many_that_run_are_known_and_none_where_all_may() -> None:
    """The oldest are forgotten."""
    record, free = armed(), armed(changed(overlap="allow"))
    for number in range(MAX_RUNNING + 5):
        record, free = started(record, f"e{number}", 0), started(free, f"e{number}", 0)
    assert (len(record.running), record.running[0].execution) == (MAX_RUNNING, "e5")
    assert free.running == ()
