"""What becomes of a schedule when it is applied, steered, and when its times come. Pure: time is an argument.

`next` only moves forward, in the transaction that does what its time asks for. So each time is decided once,
however many processes look and how often, and also where the clock is set back.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from flowengine.execution.schedules.records import (
    MAX_RUNNING,
    Outcome,
    ScheduleRecord,
    Started,
    Word,
)
from flowengine.workflow.schedules.declared import Schedule
from flowengine.workflow.schedules.times import newest, next_after

GRACE_MS: Final = 30_000
"""A time that nobody has noticed for so long was missed."""
CAUGHT_UP: Final = 100
"""So many missed times at most are caught up, the newest."""


class Look(msgspec.Struct, frozen=True):
    """What a look at a schedule brings about.

    `record`: how it stands then. `starts`: the time for which an execution begins. `cancels`: the executions
    that are cancelled. `outcomes`: what is to be kept of it.
    """

    record: ScheduleRecord
    starts: int | None = None
    cancels: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


def arm(schedule: Schedule, version: int, before: ScheduleRecord | None, now: int) -> ScheduleRecord:
    """A schedule of a version that comes into force. `before`: how the one with its id stood.

    Another timing begins now; the same goes on. A pause of an operator stays, and so does their resume, until
    the document says something else about `paused`.
    """
    if before is None:
        return ScheduleRecord(schedule, version, now, next_after(schedule, now, now))
    following = before.next
    if schedule.timing != before.schedule.timing:
        following = next_after(schedule, before.armed_at, now)
        before = replace(before, noticed=None)
    word = before.word
    if word is not None and word.said == "resumed" and schedule.paused != before.schedule.paused:
        word = None
    armed = replace(before, schedule=schedule, version=version, next=following, word=word)
    if before.is_paused and not armed.is_paused:
        return replace(armed, next=next_after(schedule, armed.armed_at, now), waiting=None, noticed=None)
    return armed


def pause(record: ScheduleRecord, now: int, by: str | None) -> Look:
    """An operator pauses it: what waits for another execution does not start any more."""
    if record.word is not None and record.word.said == "paused":
        return Look(record)
    paused = replace(record, word=Word("paused", now, by), waiting=None)
    return Look(paused, outcomes=_dropped(record, now))


def resume(record: ScheduleRecord, now: int, by: str | None) -> Look:
    """An operator resumes it: what came while it was paused is not caught up."""
    if not record.is_paused:
        return Look(record)
    following = next_after(record.schedule, record.armed_at, now)
    resumed = replace(record, word=Word("resumed", now, by), waiting=None, next=following, noticed=None)
    return Look(resumed, outcomes=_dropped(record, now))


def look(record: ScheduleRecord, ended: Container[str], now: int, noticed: int | None) -> Look:
    """What is to be done now; at most one execution begins, and what else is due comes with the next look.

    `ended`: those of its executions that have. `noticed`: when somebody has seen that a time has come; None:
    something has ended, and only what waits for that is looked at.
    """
    running = tuple([one for one in record.running if one.execution not in ended])
    record = replace(record, running=running)
    if record.is_paused:
        return Look(record)
    if record.waiting is not None and (not running or record.schedule.overlap == "allow"):
        return Look(replace(record, waiting=None), starts=record.waiting)
    due = record.next
    if noticed is None or due is None or due > now:
        return Look(record, cancels=_cancelled(record))
    outcomes: tuple[Outcome, ...] = ()
    if min(_first_noticed(record, noticed), now) - due > GRACE_MS:
        planned, until = _caught_up(record, due, now)
        if until is not None:
            outcomes = (Outcome("missed", due, now, until=None if until == due else until),)
        if planned is None:
            assert until is not None, "what is not caught up was missed"
            following = next_after(record.schedule, record.armed_at, until)
            record = replace(record, next=following, noticed=None)
            return Look(record, cancels=_cancelled(record), outcomes=outcomes)
        due = planned
    record = replace(record, next=next_after(record.schedule, record.armed_at, due), noticed=None)
    decided = _decide(record, due, now)
    return replace(decided, outcomes=(*outcomes, *decided.outcomes))


def put_off(record: ScheduleRecord, noticed: int | None) -> ScheduleRecord:
    """How it stands where no execution can begin now: as before, but for when its time was noticed."""
    if noticed is None or record.next is None or noticed < record.next:
        return record
    return replace(record, noticed=_first_noticed(record, noticed))


def _first_noticed(record: ScheduleRecord, noticed: int) -> int:
    return noticed if record.noticed is None else min(record.noticed, noticed)


def started(record: ScheduleRecord, execution: str, planned: int) -> ScheduleRecord:
    """An execution of it begins. Where others may run beside it, nobody needs to know when it ends."""
    if record.schedule.overlap == "allow":
        return record
    return replace(record, running=(*record.running, Started(execution, planned))[-MAX_RUNNING:])


def _dropped(record: ScheduleRecord, now: int) -> tuple[Outcome, ...]:
    """What is told of a time that waits for others to end, and does not start any more."""
    return () if record.waiting is None else (Outcome("missed", record.waiting, now),)


def _decide(record: ScheduleRecord, due: int, now: int) -> Look:
    overlap = record.schedule.overlap
    if overlap == "allow" or not record.running:
        return Look(record, starts=due)
    last = record.running[-1].execution
    match overlap:
        case "skip":
            return Look(record, outcomes=(Outcome("skipped", due, now, last),))
        case "queue" | "cancel_running":
            waited = record.waiting
            replaced = () if waited is None else (Outcome("replaced", waited, now),)
            record = replace(record, waiting=due)
            outcomes = (*replaced, Outcome("queued", due, now, last))
            return Look(record, cancels=_cancelled(record), outcomes=outcomes)
        case _ as never:
            assert_never(never)


def _cancelled(record: ScheduleRecord) -> tuple[str, ...]:
    """What runs is cancelled for what waits, also where somebody has died before that."""
    if record.waiting is None or record.schedule.overlap != "cancel_running":
        return ()
    return tuple([one.execution for one in record.running])


def _caught_up(record: ScheduleRecord, due: int, now: int) -> tuple[int | None, int | None]:
    """The first of the missed times that is caught up, and the last one that is not; None: there is none.

    Where the tz database has changed meanwhile, the time that is due may be none any more: it counts still.
    """
    schedule, anchor = record.schedule, record.armed_at
    match schedule.catch_up:
        case "none":
            until = (newest(schedule, anchor, due, now - GRACE_MS - 1, 1) or [due])[-1]
            following = next_after(schedule, anchor, until)
            return (following if following is not None and following <= now else None), until
        case "latest":
            found = newest(schedule, anchor, due, now, 2)
        case "all":
            found = newest(schedule, anchor, due, now, CAUGHT_UP + 1)
        case _ as never:
            assert_never(never)
    most = 1 if schedule.catch_up == "latest" else CAUGHT_UP
    if not found:
        return due, None
    if len(found) > most:
        return found[-most], found[-most - 1]
    return found[0], None
