"""Tells handlers that nobody waits for them any more: asks the store once a second whose execution is being
stopped, or of whose nodes an operator has ended one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from flowengine.engine.ports import RunningStore
from flowengine.engine.running.task_in_hand import TaskInHand

log = structlog.stdlib.get_logger()

EVERY_S: Final = 1.0
MARGIN_MS: Final = 10_000
"""A mark may be written so much later than its time says."""
KEPT: Final = 10_000


class StopNotices:
    """The executions that were marked as stopping lately, or of which an operator has ended a node, looked at
    once in `every_s` seconds.

    Whether that is about this run, and this node, is asked for those that have tasks in hand.
    """

    def __init__(
        self,
        store: RunningStore,
        *,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._every_s = every_s
        self._clock = clock
        self._next_at = 0.0
        self._since = 0
        self._named: dict[str, int] = {}

    def is_named(self, execution: str) -> bool:
        """Whether this execution was marked lately, in this run or in one before."""
        return execution in self._named

    def deliver(self, hands: Sequence[TaskInHand]) -> None:
        """Ask the handlers of executions that are being stopped to stop. Raises StoreUnavailableError."""
        now = self._clock()
        if now < self._next_at:
            return
        self._next_at = now + self._every_s
        self._learn()
        asked = [
            hand
            for hand in hands
            if self.is_named(hand.task.execution) and not hand.taken and not hand.cancellation.requested
        ]
        if not asked:
            return
        unwanted = {id(task) for task in self._store.unwanted([hand.task for hand in asked])}
        for hand in asked:
            if id(hand.task) in unwanted:
                log.info("node.stop_requested", node_id=hand.task.node, execution_id=hand.task.execution)
                hand.cancellation.request()

    def _learn(self) -> None:
        found = self._store.stops_since(max(0, self._since - MARGIN_MS))
        if not found:
            return
        named = {**self._named, **dict(found)}
        self._since = max(self._since, *named.values())
        self._named = dict(sorted(named.items(), key=lambda pair: pair[1])[-KEPT:])
