"""What becomes of a schedule when it is applied and looked at, as a rule over one record."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.execution.schedules.records import MAX_RUNNING, Outcome, ScheduleRecord
from flowengine.execution.schedules.rules import GRACE_MS, arm, look, pause, put_off, resume, started
from flowengine.workflow.schedules.declared import CatchUp, Overlap, Schedule

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


def test_what_is_put_off_stays_noticed_until_it_is_decided() -> None:
    """Nothing is known of the time after it, nor of another one that takes its place."""
    record = armed(changed(catch_up="none"))
    for noticed in (MINUTE + 5, 40 * MINUTE):
        record = put_off(record, noticed)
        assert (record.noticed, record.next) == (MINUTE + 5, MINUTE)
    found = look(record, (), 50 * MINUTE, 50 * MINUTE)
    assert (found.starts, found.outcomes, found.record.noticed) == (MINUTE, (), None)
    assert look(found.record, (), 50 * MINUTE + 1, 50 * MINUTE + 1).outcomes[0].kind == "missed"
    assert arm(changed(every_s=50), 2, record, 90_000).noticed is None
    assert arm(changed(catch_up="all"), 2, record, 90_000).noticed == MINUTE + 5
    assert resume(pause(record, 90_000, None).record, 95_000, None).record.noticed is None


def test_what_is_put_off_before_its_next_time_was_not_noticed() -> None:
    """What waits for another execution is put off too, by the message of an end or by a timer."""
    record = msgspec.structs.replace(armed(changed(overlap="queue")), waiting=MINUTE, next=2 * MINUTE)
    assert put_off(record, None) == record
    assert put_off(record, 2 * MINUTE - 1) == record
    assert put_off(record, 2 * MINUTE).noticed == 2 * MINUTE


@pytest.mark.parametrize("catch_up", ["none", "latest", "all"])
def test_a_time_that_the_clocks_do_not_name_any_more_is_decided_about(catch_up: CatchUp) -> None:
    """The tz database has changed since it was found, and there is no other time until now."""
    schedule = Schedule(cron="0 3 1 1 *", catch_up=catch_up)
    record = msgspec.structs.replace(armed(schedule), next=40 * MINUTE)
    now = 41 * MINUTE
    found = look(record, (), now, now)
    missed = (Outcome("missed", 40 * MINUTE, now),)
    expected = (None, missed) if catch_up == "none" else (40 * MINUTE, ())
    assert (found.starts, found.outcomes, found.record.next) == (*expected, 180 * MINUTE)


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


def test_what_is_paused_starts_nothing() -> None:
    """A message of a time that has come may still be on its way."""
    paused = pause(armed(), 5, "ops").record
    found = look(paused, (), 2 * MINUTE, MINUTE)
    assert (found.starts, found.outcomes, found.record) == (None, (), paused)


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
