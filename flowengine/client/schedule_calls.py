"""The calls about schedules, each told once: for `Client` and `AsyncClient` alike."""

from __future__ import annotations

from flowengine.client.call import Call, given_query, paging, path_part
from flowengine.client.calls import PAGE
from flowengine.execution.schedules.views import HistoryView, ScheduleListView, ScheduleView
from flowengine.execution.views.executions import StartedView


def schedules_page(
    *, name: str | None = None, limit: int = PAGE, cursor: str | None = None
) -> Call[ScheduleListView]:
    """Schedules, by the name of their definition and their id: of one definition, or of all."""
    query = (*given_query(name=name), *paging(limit, cursor))
    return Call(method="GET", path="/schedules", answer=ScheduleListView, query=query)


def schedule_history_page(
    name: str, schedule: str, *, limit: int = PAGE, cursor: str | None = None
) -> Call[HistoryView]:
    """What the times of a schedule have brought about, newest first."""
    path = f"{_path(name, schedule)}/history"
    return Call(method="GET", path=path, answer=HistoryView, query=paging(limit, cursor))


def pause_schedule(name: str, schedule: str = "default") -> Call[ScheduleView]:
    """Let a schedule start nothing until it is resumed."""
    return Call(method="POST", path=f"{_path(name, schedule)}/pause", answer=ScheduleView)


def resume_schedule(name: str, schedule: str = "default") -> Call[ScheduleView]:
    """Let a schedule go on with its next time."""
    return Call(method="POST", path=f"{_path(name, schedule)}/resume", answer=ScheduleView)


def trigger_schedule(name: str, schedule: str = "default") -> Call[StartedView]:
    """Start an execution of a schedule now, whatever is paused or runs."""
    return Call(method="POST", path=f"{_path(name, schedule)}/trigger", answer=StartedView)


def _path(name: str, schedule: str) -> str:
    return f"/schedules/{path_part(name)}/{path_part(schedule)}"
