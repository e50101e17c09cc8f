"""What a worker does about deliveries: it sends the results of an execution that has ended.

It decides nothing: the orchestrator says what follows from what it reports. The message is acknowledged with
the report, so that a worker that dies in between sends the same once more, under the same id.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import msgspec

from flowengine.engine.delivering.ports import Caller, Outgoing, SendingStore, Wanted
from flowengine.engine.held import Held
from flowengine.errors import ExecutionNotFoundError
from flowengine.execution.delivery.records import DeliveryAttempt, webhook_id
from flowengine.execution.delivery.rules import is_awaited, is_overtaken
from flowengine.execution.messages import DeliverResults, DeliveryAttempted, DeliveryDue
from flowengine.execution.status import ExecutionStatus

AT_ONCE: Final = 4
"""So many calls a process makes at a time: receivers that do not answer must not take the nodes' threads."""
PUT_OFF_MS: Final = 2_000
MAX_RESULT_BYTES: Final = 8 * 1024 * 1024
"""Larger results are not sent: the receiver is told to fetch them."""


class CutResults(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent in place of results that are too large. GET /workflows/{id}/results has them."""

    execution_id: str
    status: ExecutionStatus
    results: dict[str, None] = {}
    errors: dict[str, None] = {}
    outputs: None = None
    cut: bool = True


class Sender:
    """Sends results, at most `at_once` at a time. `jitter` gives numbers from 0 to 1."""

    def __init__(
        self, store: SendingStore, call: Caller, jitter: Callable[[], float], *, at_once: int = AT_ONCE
    ) -> None:
        self._store = store
        self._call = call
        self._jitter = jitter
        self._free = threading.BoundedSemaphore(at_once)

    def send(self, held: Held[DeliverResults]) -> None:
        """Make one attempt and report it. Raises StoreUnavailableError."""
        if not self._free.acquire(blocking=False):
            due = self._store.now() + round(PUT_OFF_MS * (1 + self._jitter()))
            self._store.put_off(_due(held.payload), due, held.acknowledge)
            held.confirm()
            return
        try:
            self._send(held)
        finally:
            self._free.release()

    def _send(self, held: Held[DeliverResults]) -> None:
        message = held.payload
        wanted = self._store.wanted(message)
        if wanted.record is None or wanted.url is None or not is_awaited(wanted.delivery, message.number):
            self._store.acknowledge(held.acknowledge)
            held.confirm()
            return
        body = self._body(message, wanted)
        if body is None:
            self._store.report(_due(message), held.acknowledge)
            held.confirm()
            return
        at = self._store.now()
        name = webhook_id(message.execution, message.run)
        answered = self._call(Outgoing(wanted.url, name, body, at))
        report = DeliveryAttempted(
            execution=message.execution,
            run=message.run,
            number=message.number,
            correlation_id=message.correlation_id,
            attempt=DeliveryAttempt(at, answered.duration_ms, answered.status_code, answered.error),
            retry_after_ms=answered.retry_after_ms,
        )
        self._store.report(report, held.acknowledge)
        held.confirm()

    def _body(self, message: DeliverResults, wanted: Wanted) -> bytes | None:
        """The results of this run; None if another run has begun: then the orchestrator ends the delivery."""
        before, delivery = wanted.record, wanted.delivery
        if before is None or delivery is None or is_overtaken(before.control, delivery):
            return None
        if wanted.result_bytes > MAX_RESULT_BYTES:
            return msgspec.json.encode(CutResults(execution_id=message.execution, status=before.status))
        from flowengine.engine import queries

        try:
            body = msgspec.json.encode(queries.results(self._store, message.execution))
        except ExecutionNotFoundError:
            return None
        # A trigger takes results away: what was read is of this run only if none came meanwhile.
        after = self._store.read_execution(message.execution)
        return None if after is None or is_overtaken(after.control, delivery) else body


def _due(message: DeliverResults) -> DeliveryDue:
    return DeliveryDue(execution=message.execution, run=message.run, number=message.number)
