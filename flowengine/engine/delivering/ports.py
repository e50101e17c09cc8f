"""What the sending of results asks of the store, and of what makes the call."""

from __future__ import annotations

from typing import Protocol

import msgspec

from flowengine.engine.ports import Acknowledge, ResultsStore
from flowengine.execution.delivery.records import Delivery
from flowengine.execution.messages import DeliverResults, DeliveryAttempted, DeliveryDue
from flowengine.execution.records import ExecutionRecord


class Wanted(msgspec.Struct, frozen=True):
    """What is known of a delivery before it is sent. None: there is none. `result_bytes`: of the execution's
    results, as far as they are counted."""

    record: ExecutionRecord | None
    delivery: Delivery | None
    url: str | None
    result_bytes: int


class SendingStore(ResultsStore, Protocol):
    """State as workers need it that send results. Every method may raise StoreUnavailableError."""

    def now(self) -> int: ...
    def wanted(self, message: DeliverResults) -> Wanted: ...
    def report(self, report: DeliveryAttempted | DeliveryDue, acknowledge: Acknowledge) -> None: ...
    def put_off(self, timer: DeliveryDue, due: int, acknowledge: Acknowledge) -> None: ...
    def acknowledge(self, acknowledge: Acknowledge) -> None: ...


class Outgoing(msgspec.Struct, frozen=True):
    """A call that is to be made. `at`: milliseconds since the epoch."""

    url: str
    webhook_id: str
    body: bytes
    at: int


class Answered(msgspec.Struct, frozen=True):
    """What became of a call. `error`: None where the answer was 2xx. `retry_after_ms`: what it asks for."""

    status_code: int | None
    error: str | None
    duration_ms: int
    retry_after_ms: int | None = None


class Caller(Protocol):
    """Makes the call. Never raises for what the receiver does."""

    def __call__(self, outgoing: Outgoing) -> Answered: ...
