"""The runs of an execution, the newest first, a page at a time."""

from __future__ import annotations

from flowengine.engine import queries
from flowengine.engine.ports import QueryStore, StoredRuns
from flowengine.errors import BadCursorError
from flowengine.execution.history.runs import BY_TRIGGER, RunPage, RunView, Why, view_of_ended, view_of_last


def runs(store: QueryStore, execution: str, *, limit: int, cursor: str | None = None) -> RunPage:
    """At most `limit` runs, those before the one that the cursor names. What was never triggered has none.

    Raises ExecutionNotFoundError, BadCursorError.
    """
    before = _run_of(cursor)
    last = queries.status(store, execution)
    if not last.run:
        return RunPage(items=(), next_cursor=None)
    # Read after the execution: a run that begins meanwhile is not shown, and hides none.
    stored = store.runs(execution)
    views = [view_of_last(last, _why(stored, last.run)), *_earlier(stored, last.run)]
    left = [view for view in views if before is None or view.run < before]
    items = tuple(left[:limit])
    return RunPage(items=items, next_cursor=str(items[-1].run) if len(left) > limit else None)


def _earlier(stored: StoredRuns, last: int) -> list[RunView]:
    found = [ended for run, ended in stored.ended.items() if run < last]
    found.sort(key=lambda ended: -ended.run)
    return [view_of_ended(ended, _why(stored, ended.run)) for ended in found]


def _why(stored: StoredRuns, run: int) -> Why:
    return stored.why.get(run, BY_TRIGGER)


def _run_of(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 9:
        raise BadCursorError(f"{cursor[:100]!r} is no cursor of this list")
    return int(cursor)
