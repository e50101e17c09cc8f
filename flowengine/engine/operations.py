"""The service at work as the API sees it: each call is one command or one query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import UNSET

from flowengine.engine.commands.retry_letter import given_up, retry_letter
from flowengine.engine.ports import CommandStore, Letter, LetterStore
from flowengine.errors import DeadLetterNotFoundError
from flowengine.execution.limits.views import LimitsView
from flowengine.execution.messages import Callback, CopyResults, RunBulk, RunNode, ScheduleDue, kind_of
from flowengine.execution.views.executions import moment
from flowengine.execution.views.operations import (
    DeadLettersView,
    DeadLetterView,
    DeletedLetterView,
    QueuesView,
    RetriedLetterView,
    StatsView,
    WorkersView,
)
from flowengine.observability.metrics.gauges import ReadGauges


class StoredOperations:
    """Implements `flowengine.api.ports.Operations`. What only looks at the server is passed in."""

    def __init__(
        self,
        store: CommandStore,
        letters: LetterStore,
        queues: Callable[[], QueuesView],
        workers: Callable[[], WorkersView],
        gauges: ReadGauges,
        stats: Callable[[], StatsView],
        limits: Callable[[int, str | None], LimitsView],
    ) -> None:
        self._store = store
        self._letters = letters
        self.queues = queues
        self.workers = workers
        self.gauges = gauges
        self.stats = stats
        self.limits = limits

    def dead_letters(self, limit: int, cursor: str | None) -> DeadLettersView:
        """A page of dead letters, the newest first."""
        letters, following = self._letters.page(limit, cursor)
        return DeadLettersView(items=tuple(map(_letter_view, letters)), next_cursor=following)

    def retry_dead_letter(self, letter: str) -> RetriedLetterView:
        """Do what was given up anew, and remove the letter."""
        return retry_letter(self._store, self._letters, letter)

    def delete_dead_letter(self, letter: str) -> DeletedLetterView:
        """Remove a letter."""
        if not self._letters.remove(letter):
            raise DeadLetterNotFoundError.of(letter)
        return DeletedLetterView(id=letter)


_OF_NO_EXECUTION: Final = (RunBulk, ScheduleDue)
_OF_NO_RUN: Final = (*_OF_NO_EXECUTION, CopyResults)


def _letter_view(letter: Letter) -> DeadLetterView:
    payload = letter.payload
    return DeadLetterView(
        id=letter.id,
        queue=letter.queue,
        reason=letter.reason,
        deliveries=letter.deliveries,
        buried_at=moment(letter.buried_at),
        retry="send" if given_up(letter) is None else "trigger",
        actor=UNSET if payload is None else kind_of(payload).actor,
        execution_id=UNSET if payload is None or isinstance(payload, _OF_NO_EXECUTION) else payload.execution,
        run=UNSET if payload is None or isinstance(payload, _OF_NO_RUN) else payload.run,
        node=payload.node if isinstance(payload, RunNode | Callback) else UNSET,
        handler=payload.handler if isinstance(payload, RunNode) else UNSET,
    )
