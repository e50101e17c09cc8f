"""Deliveries whose message or timer is gone: the sweep has them sent again.

It should never find anything. Each delivery that is not over stands in one sorted set by the time of its last
step, or of the step that it waits for. One whose time is long past is on its way, or lost. It is lost if no
timer is armed, and nothing has happened to it although its message has left the workers' queue, and its
report the orchestrators' after that. To know this takes three looks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Protocol

import msgspec
import structlog

from flowengine.execution.delivery.records import Delivery
from flowengine.execution.messages import DeliveryDue
from flowengine.observability.metrics import counted
from flowengine.queues import ORCHESTRATOR_QUEUE, WORKER_QUEUE

log = structlog.stdlib.get_logger()

SILENT_MS: Final = 60_000
"""So long nothing must have happened to one: more than a call takes."""
AT_MOST: Final = 200
"""So many are looked at in a sweep: those that have been silent for longest."""


class Silent(msgspec.Struct, frozen=True):
    """A delivery to which nothing has happened since `moved`. `delivery`: None if its execution is gone."""

    execution: str
    run: int
    moved: int
    delivery: Delivery | None
    is_armed: bool

    @property
    def timer(self) -> DeliveryDue:
        """What has it sent again."""
        number = 1 if self.delivery is None else self.delivery.number
        return DeliveryDue(execution=self.execution, run=self.run, number=number)


class LostDeliveryStore(Protocol):
    """What is asked of the store. Every method may raise StoreUnavailableError."""

    def now(self) -> int: ...
    def silent_deliveries(self, before: int, at_most: int) -> list[Silent]:
        """Those whose last step was before this time, longest ago first."""

    def forget_deliveries(self, silent: Sequence[Silent]) -> None:
        """Those that are over, or gone with their executions, are looked at no more."""

    def arm_deliveries(self, timers: Collection[DeliveryDue], due: int) -> None:
        """Have them sent."""

    def oldest_entries_ms(self, queues: Sequence[str]) -> dict[str, int | None]:
        """When the oldest message of each queue was sent, looked at in this order; None: it is empty."""


class LostDeliveries:
    """The look of one process; remembers what it found silent at its last ones."""

    def __init__(self, store: LostDeliveryStore, clock_margin_ms: int) -> None:
        self._store = store
        self._clock_margin_ms = clock_margin_ms
        self._silent: dict[Silent, int] = {}
        self._reported: dict[Silent, int] = {}

    def look(self) -> int:
        """Look once; returns how many were lost. Raises StoreUnavailableError."""
        now = self._store.now()
        found = self._store.silent_deliveries(now - SILENT_MS, AT_MOST)
        over = [each for each in found if each.delivery is None or each.delivery.state != "pending"]
        if over:
            self._store.forget_deliveries(over)
        waiting = [each for each in found if each not in over and not each.is_armed]
        self._silent = {each: self._silent.get(each, now) for each in waiting}
        self._reported = {each: at for each, at in self._reported.items() if each in self._silent}
        if not waiting:
            return 0
        lost = self._lost(now)
        if lost:
            self._store.arm_deliveries(lost, now)
            counted.REPAIRS.add("vanished_delivery", by=len(lost))
            log.error("sweep.repaired", what="vanished_delivery", count=len(lost))
        return len(lost)

    def _lost(self, now: int) -> list[DeliveryDue]:
        """What was in a worker's queue when it was first found silent has left it; what a worker has
        reported until then has left the orchestrators'; and nothing has happened to it."""
        oldest = self._store.oldest_entries_ms([WORKER_QUEUE, ORCHESTRATOR_QUEUE])
        lost = [
            each.timer
            for each, since in self._reported.items()
            if self._has_left(oldest[ORCHESTRATOR_QUEUE], since)
        ]
        for each, since in self._silent.items():
            if self._has_left(oldest[WORKER_QUEUE], since):
                self._reported.setdefault(each, now)
        return lost

    def _has_left(self, oldest: int | None, since: int) -> bool:
        return oldest is None or oldest > since + self._clock_margin_ms
