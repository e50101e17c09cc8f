"""Deliveries whose message or timer is gone: the sweep has them sent again.

It should never find anything. Each delivery that is not over stands in one sorted set by the time of its last
step, or of the step that it waits for. One whose time is long past is on its way, or lost: it is lost if no
timer is armed, and if all that waits in the queues was sent after its step.
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


def send_lost_again(store: LostDeliveryStore, clock_margin_ms: int, silent_ms: int = SILENT_MS) -> int:
    """Look once; returns how many were lost."""
    now = store.now()
    silent = store.silent_deliveries(now - silent_ms, AT_MOST)
    if not silent:
        return 0
    over = [each for each in silent if each.delivery is None or each.delivery.state != "pending"]
    if over:
        store.forget_deliveries(over)
    # A worker's report leaves its queue for the orchestrators': these are looked at last.
    oldest = store.oldest_entries_ms([WORKER_QUEUE, ORCHESTRATOR_QUEUE])
    lost = [
        each.timer
        for each in silent
        if each not in over
        and not each.is_armed
        and not any(at is not None and at <= each.moved + clock_margin_ms for at in oldest.values())
    ]
    if lost:
        store.arm_deliveries(lost, now)
        counted.REPAIRS.add("vanished_delivery", by=len(lost))
        log.error("sweep.repaired", what="vanished_delivery", count=len(lost))
    return len(lost)
