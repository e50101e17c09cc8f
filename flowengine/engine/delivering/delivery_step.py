"""What the orchestrator does about deliveries: it takes what workers report, and sends when it is time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from flowengine.engine.held import Held
from flowengine.engine.ports import AdvancingStore
from flowengine.errors import ConflictError
from flowengine.execution.changes import Change
from flowengine.execution.delivery.records import Delivery
from flowengine.execution.delivery.rules import after_attempt, is_awaited, is_overtaken, overtake, send
from flowengine.execution.messages import DeliveryAttempted, DeliveryDue
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.rules.dispatching import Run
from flowengine.observability.metrics import counted

log = structlog.stdlib.get_logger()

TRIES: Final = 12


class DeliveryStep:
    """Carries out the messages and timers of deliveries. One that nobody waits for is let go of."""

    def __init__(self, store: AdvancingStore) -> None:
        self._store = store

    def take(self, held: Held[DeliveryAttempted]) -> None:
        """A worker has made an attempt. Raises ConflictError, StoreUnavailableError."""
        report = held.payload

        def follows(record: ExecutionRecord, delivery: Delivery, now: int) -> tuple[Change, ...]:
            return after_attempt(report.execution, delivery, report, now)

        if self._decide(held, follows):
            attempt = report.attempt
            is_answered = attempt.error is None
            counted.DELIVERIES.add("delivered" if is_answered else "failed")
            tell = log.info if is_answered else log.warning
            tell(
                "delivery.attempted",
                run=report.run,
                number=report.number,
                status_code=attempt.status_code,
                error=attempt.error,
            )

    def fire(self, held: Held[DeliveryDue]) -> None:
        """It is time for an attempt. Raises ConflictError, StoreUnavailableError."""

        def follows(record: ExecutionRecord, delivery: Delivery, now: int) -> tuple[Change, ...]:
            if is_overtaken(record.control, delivery):
                return overtake(delivery, now)
            return send(Run(held.payload.execution, record.run, record.correlation_id), delivery, now)

        self._decide(held, follows)

    def _decide(
        self,
        held: Held[DeliveryAttempted] | Held[DeliveryDue],
        follows: Callable[[ExecutionRecord, Delivery, int], tuple[Change, ...]],
    ) -> bool:
        """Whether it was awaited: what follows is written then, in the transaction that acknowledges."""
        message = held.payload
        for _ in range(TRIES):
            unit = self._store.begin_delivery(message.execution, message.run)
            record, delivery = unit.record, unit.delivery
            if record is None or delivery is None or not is_awaited(delivery, message.number):
                unit.abandon()
                self._store.acknowledge(held.acknowledge)
                held.confirm()
                return False
            if unit.commit({message.execution: follows(record, delivery, unit.now)}, held.acknowledge):
                held.confirm()
                return True
        raise ConflictError(f"the deliveries of '{message.execution}' keep changing")
