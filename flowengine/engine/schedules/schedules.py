"""Schedules as the API and the tool see them: each call is one command or one query."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final, Protocol, TypeAlias

from flowengine.access.acting import acting_key
from flowengine.access.scope import covers
from flowengine.engine.commands.create import id_of_new
from flowengine.engine.definitions.ports import DefinitionSource
from flowengine.engine.ports import CommandStore
from flowengine.engine.schedules.ports import Listed, Move, ScheduleLists, ScheduleStore, ScheduleUnit
from flowengine.engine.schedules.starting import Occasion, starting
from flowengine.errors import BadCursorError, ConflictError, ScheduleNotFoundError
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.schedules.records import Outcome, ScheduleRecord
from flowengine.execution.schedules.rules import Look, pause, resume, started
from flowengine.execution.schedules.views import (
    HistoryView,
    ScheduleListView,
    ScheduleView,
    outcome_view,
    schedule_view,
)
from flowengine.execution.views.executions import StartedView

TRIES: Final = 50
Views: TypeAlias = Sequence[ScheduleView]

_PLACE: Final = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)


class SchedulesStore(ScheduleStore, ScheduleLists, Protocol):
    """Schedules, as they are steered and shown."""


class StoredSchedules:
    """Implements `flowengine.api.schedule_ports.Schedules`."""

    def __init__(
        self, schedules: SchedulesStore, definitions: DefinitionSource, executions: CommandStore
    ) -> None:
        self._schedules = schedules
        self._definitions = definitions
        self._executions = executions

    def list(
        self, *, limit: int, cursor: str = "", name: str | None = None, patterns: tuple[str, ...] = ()
    ) -> ScheduleListView:
        """A page of schedules, by name and id: those of one definition, or of all that fit one of the
        patterns, if there are some. Raises BadCursorError."""
        after = _place_of(cursor) if cursor else ("", "")
        found, more = self._schedules.page(after, limit, name)
        shown = [one for one in found if covers(patterns, one.name)]
        last = (found[-1].name, found[-1].record.schedule.id) if found and more else None
        return ScheduleListView(
            items=tuple(self._views(shown)), next_cursor=None if last is None else _cursor_of(*last)
        )

    def history(self, name: str, schedule: str, *, limit: int, cursor: str = "") -> HistoryView:
        """What its times have brought about, newest first. Raises ScheduleNotFoundError, BadCursorError."""
        if cursor and not _PLACE.fullmatch(cursor):
            raise BadCursorError(f"{cursor[:40]!r} is no cursor of a history")
        found = self._schedules.history(name, schedule, limit + 1, cursor or None)
        if found is None:
            raise ScheduleNotFoundError.of(name, schedule)
        shown = found[:limit]
        items = tuple([outcome_view(outcome) for _, outcome in shown])
        return HistoryView(items=items, next_cursor=shown[-1][0] if len(found) > limit else None)

    def pause(self, name: str, schedule: str) -> ScheduleView:
        """Let it start nothing until somebody resumes it. Raises ScheduleNotFoundError, ConflictError."""
        return self._steer(name, schedule, pause)

    def resume(self, name: str, schedule: str) -> ScheduleView:
        """Let it go on with its next time. Raises ScheduleNotFoundError, ConflictError."""
        return self._steer(name, schedule, resume)

    def trigger(self, name: str, schedule: str, correlation_id: str) -> StartedView:
        """Start an execution of it now, whatever is paused or runs.

        Raises ScheduleNotFoundError, ConflictError, InputsInvalidError, VarsInvalidError,
        TooManyExecutionsError, ConcurrencyLimitError, StoreFullError.
        """
        for _ in range(TRIES):
            unit, record = self._begin(name, schedule)
            now = unit.now
            execution = id_of_new(self._executions, now)
            with ExitStack() as admitted:
                try:
                    occasion = Occasion(name, record, now, execution, now, correlation_id)
                    begins = starting(self._definitions, occasion)
                    changes, size = begins.changes(self._executions, execution, now)
                    admitted.enter_context(self._executions.letting_in(size))
                except BaseException:
                    unit.abandon()
                    raise
                outcome = Outcome("started", now, now, execution, by_hand=True, by=acting_key())
                moved = started(record, execution, now)
                if unit.commit(Move(moved, [outcome], {execution: changes})):
                    return begins.begun(self._executions, execution, now)
        raise _keeps_changing(name, schedule)

    def _steer(
        self, name: str, schedule: str, said: Callable[[ScheduleRecord, int, str | None], Look]
    ) -> ScheduleView:
        for _ in range(TRIES):
            unit, record = self._begin(name, schedule)
            looked = said(record, unit.now, acting_key())
            if looked.record == record:
                unit.abandon()
            elif not unit.commit(Move(looked.record, looked.outcomes)):
                continue
            found = self._schedules.find(name, schedule)
            if found is None:
                raise ScheduleNotFoundError.of(name, schedule)
            return self._views([found])[0]
        raise _keeps_changing(name, schedule)

    def _begin(self, name: str, schedule: str) -> tuple[ScheduleUnit, ScheduleRecord]:
        unit = self._schedules.begin(name, schedule)
        if unit.record is None:
            unit.abandon()
            raise ScheduleNotFoundError.of(name, schedule)
        return unit, unit.record

    def _views(self, listed: Sequence[Listed]) -> Views:
        known = [one.execution for each in listed for one in each.record.running]
        records: dict[str, ExecutionRecord | None] = dict(
            zip(known, self._schedules.executions(known), strict=True)
        )
        now = self._schedules.now()
        return [schedule_view(each.name, each.record, each.outcomes, records, now) for each in listed]


def _keeps_changing(name: str, schedule: str) -> ConflictError:
    return ConflictError(f"schedule '{schedule}' of '{name}' keeps changing; try again")


def _cursor_of(name: str, schedule: str) -> str:
    return base64.urlsafe_b64encode(f"{name}\t{schedule}".encode()).decode().rstrip("=")


def _place_of(cursor: str) -> tuple[str, str]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        name, parted, schedule = base64.b64decode(padded, b"-_", validate=True).decode().partition("\t")
    except (ValueError, binascii.Error):
        parted = name = schedule = ""
    if not parted:
        raise BadCursorError(f"{cursor[:40]!r} is no cursor of a page of schedules")
    return name, schedule
