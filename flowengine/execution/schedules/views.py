"""What the API and the tool show of schedules. Pure data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from flowengine.execution.records import ExecutionRecord
from flowengine.execution.schedules.records import Outcome, OutcomeKind, ScheduleRecord
from flowengine.execution.status import ExecutionStatus, is_over
from flowengine.execution.views.executions import Moment, moment
from flowengine.workflow.schedules.declared import CatchUp, Overlap
from flowengine.workflow.schedules.times import next_times

SHOWN_TIMES: Final = 5
"""A schedule shows so many of its next times."""


class ByView(msgspec.Struct, frozen=True, kw_only=True):
    """Who has triggered a schedule: `key`, the id of their key, null without keys."""

    key: str | None


class OutcomeView(msgspec.Struct, frozen=True, kw_only=True):
    """What a time of a schedule has brought about, `at` when. `started`; `skipped`: `execution_id` still ran;
    `queued`: it waits for that one; `replaced`: it waited, and a newer time took its place; `refused`: no
    execution could begin, `code` and `message` say why; `missed`: it was not caught up, nor were those
    `until` this one. `by`: the operator who has triggered it."""

    at: Moment
    scheduled_at: Moment
    outcome: OutcomeKind
    execution_id: str | None
    until: Moment | None
    code: str | None
    message: str | None
    by: ByView | None


class HistoryView(msgspec.Struct, frozen=True, kw_only=True):
    """A page of what the times of a schedule have brought about, newest first."""

    items: tuple[OutcomeView, ...]
    next_cursor: str | None


class PausedView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a schedule starts nothing: its document says `paused`, or an operator has paused it, `at` when.
    `key`: the id of theirs."""

    by: Literal["document", "operator"]
    at: Moment | None
    key: str | None


class ScheduledView(msgspec.Struct, frozen=True, kw_only=True):
    """An execution of a schedule that has not ended, and the time that it is of."""

    execution_id: str
    status: ExecutionStatus
    scheduled_at: Moment


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule of a definition, `version` of which is in force. One of `cron` and `every_seconds` is null.
    `next_times`: none while it is paused. `waiting`: the time whose execution begins once those that run have
    ended. `held_by`: those of them that are paused. `last`: its newest outcomes."""

    name: str
    id: str
    version: int
    cron: str | None
    every_seconds: int | None
    timezone: str
    catch_up: CatchUp
    overlap: Overlap
    inputs: msgspec.Raw
    status: Literal["active", "paused"]
    paused: PausedView | None
    next_times: tuple[Moment, ...]
    waiting: Moment | None
    running: tuple[ScheduledView, ...]
    held_by: tuple[str, ...]
    last: tuple[OutcomeView, ...]


class ScheduleListView(msgspec.Struct, frozen=True, kw_only=True):
    """A page of schedules, by name and id. `next_cursor` asks for the next page; null: there is none."""

    items: tuple[ScheduleView, ...]
    next_cursor: str | None


def outcome_view(outcome: Outcome) -> OutcomeView:
    """An outcome as it is shown."""
    return OutcomeView(
        at=moment(outcome.at),
        scheduled_at=moment(outcome.planned),
        outcome=outcome.kind,
        execution_id=outcome.execution,
        until=None if outcome.until is None else moment(outcome.until),
        code=outcome.code,
        message=outcome.message,
        by=ByView(key=outcome.by) if outcome.by_hand else None,
    )


def schedule_view(
    name: str,
    record: ScheduleRecord,
    outcomes: Sequence[Outcome],
    executions: Mapping[str, ExecutionRecord | None],
    now: int,
) -> ScheduleView:
    """A schedule as it is shown. `executions`: those that were running when it was last looked at."""
    schedule = record.schedule
    running = tuple(
        [
            ScheduledView(execution_id=one.execution, status=found.status, scheduled_at=moment(one.planned))
            for one in record.running
            if (found := executions.get(one.execution)) is not None and not is_over(found.status)
        ]
    )
    return ScheduleView(
        name=name,
        id=schedule.id,
        version=record.version,
        cron=schedule.cron or None,
        every_seconds=schedule.every_s or None,
        timezone=schedule.timezone,
        catch_up=schedule.catch_up,
        overlap=schedule.overlap,
        inputs=schedule.inputs,
        status="paused" if record.is_paused else "active",
        paused=_paused(record),
        next_times=() if record.is_paused else _next_times(record, now),
        waiting=None if record.waiting is None else moment(record.waiting),
        running=running,
        held_by=tuple([one.execution_id for one in running if one.status == "paused"]),
        last=tuple([outcome_view(outcome) for outcome in outcomes]),
    )


def _paused(record: ScheduleRecord) -> PausedView | None:
    if not record.is_paused:
        return None
    word = record.word
    if word is None:
        return PausedView(by="document", at=None, key=None)
    return PausedView(by="operator", at=moment(word.at), key=word.by)


def _next_times(record: ScheduleRecord, now: int) -> tuple[Moment, ...]:
    """The next times that are to come: nothing before the one that is next, also where the clock was set
    back."""
    if record.next is None:
        return ()
    after = max(record.next - 1, now)
    return tuple(map(moment, next_times(record.schedule, record.armed_at, after, SHOWN_TIMES)))
