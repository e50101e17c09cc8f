"""What the API asks of the store about schedules. Calls block: run them in a thread."""

from __future__ import annotations

from typing import Protocol

from flowengine.execution.schedules.views import HistoryView, ScheduleListView, ScheduleView
from flowengine.execution.views.executions import StartedView


class Schedules(Protocol):
    """Schedules as the API needs them. Every method may raise StoreUnavailableError; those that take an id
    raise ScheduleNotFoundError."""

    def list(
        self, *, limit: int, cursor: str = "", name: str | None = None, patterns: tuple[str, ...] = ()
    ) -> ScheduleListView:
        """A page of schedules, by name and id: those of one definition, or of all that fit one of the
        patterns, if there are some. Raises BadCursorError."""

    def history(self, name: str, schedule: str, *, limit: int, cursor: str = "") -> HistoryView:
        """What its times have brought about, newest first. Raises BadCursorError."""

    def pause(self, name: str, schedule: str) -> ScheduleView:
        """Let it start nothing until somebody resumes it. Raises ConflictError."""

    def resume(self, name: str, schedule: str) -> ScheduleView:
        """Let it go on with its next time. Raises ConflictError."""

    def trigger(self, name: str, schedule: str, correlation_id: str) -> StartedView:
        """Start an execution of it now, whatever is paused or runs.

        Raises ConflictError, InputsInvalidError, VarsInvalidError, TooManyExecutionsError,
        ConcurrencyLimitError, StoreFullError.
        """
