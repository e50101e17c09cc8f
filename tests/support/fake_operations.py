"""The service at work for tests of the API: one dead letter, and no Redis."""

from __future__ import annotations

from collections.abc import Callable

from flowengine.api.routes.operations import (
    dead_letters,
    list_limits,
    show_queues,
    show_stats,
    show_workers,
)
from flowengine.errors import BadCursorError, DeadLetterNotFoundError
from flowengine.execution.limits.views import LimitsView
from flowengine.execution.views.operations import (
    DeadLettersView,
    DeletedLetterView,
    QueuesView,
    RetriedLetterView,
    StatsView,
    WorkersView,
)
from flowengine.observability.metrics import gauges
from flowengine.observability.metrics.gauges import Reading


class FakeOperations:
    """Knows the letter of the documented example. `enter` is called in every call, and may raise."""

    def __init__(self, enter: Callable[[], None]) -> None:
        self._enter = enter

    def dead_letters(self, limit: int, cursor: str | None) -> DeadLettersView:
        self._enter()
        if cursor not in (None, dead_letters.LETTER):
            raise BadCursorError("no such cursor")
        items = (dead_letters.GIVEN_UP, dead_letters.UNREADABLE)[:limit]
        return DeadLettersView(items=items, next_cursor=items[-1].id if limit == 1 else None)

    def retry_dead_letter(self, letter: str) -> RetriedLetterView:
        self._enter()
        _known(letter)
        return RetriedLetterView(id=letter, done="sent")

    def queues(self) -> QueuesView:
        self._enter()
        return show_queues.QUEUES

    def workers(self) -> WorkersView:
        self._enter()
        return show_workers.WORKERS

    def limits(self, limit: int, cursor: str | None) -> LimitsView:
        self._enter()
        if cursor is not None:
            raise BadCursorError("no such cursor")
        return list_limits.LIMITS

    def stats(self) -> StatsView:
        self._enter()
        return show_stats.STATS

    def gauges(self) -> tuple[Reading, ...]:
        return (Reading(gauges.EXECUTIONS, {("running",): 3}), Reading(gauges.UP, {(): 1}))

    def delete_dead_letter(self, letter: str) -> DeletedLetterView:
        self._enter()
        _known(letter)
        return DeletedLetterView(id=letter)


def _known(letter: str) -> None:
    if letter != dead_letters.LETTER:
        raise DeadLetterNotFoundError.of(letter)
