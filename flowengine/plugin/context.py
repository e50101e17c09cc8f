"""What a handler is told besides its config and its settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    import httpx


class Log(Protocol):
    """A structured logger (structlog's): events are dotted, past tense; values are fields."""

    def debug(self, event: str, **fields: object) -> object: ...
    def info(self, event: str, **fields: object) -> object: ...
    def warning(self, event: str, **fields: object) -> object: ...
    def error(self, event: str, **fields: object) -> object: ...


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery of one attempt at one node.

    `deadline` is on the clock of `time.monotonic`, in seconds. `idempotency_key` stays the same when a crash
    makes the engine run the same attempt again; send it to services that can deduplicate. `http` and
    `async_http` return the process's shared httpx clients, which enforce the egress rules. `environment`
    gives an environment variable (or a line of `.env`) as text, or None; settings with types are a handler's
    third argument. `tries_once`: the node has a `retry` of its own, so the handler must not try again by
    itself.
    """

    execution_id: str
    run: int
    node_id: str
    attempt: int
    delivery: int
    deadline: float
    idempotency_key: str
    correlation_id: str
    logger: Log
    http: Callable[[], httpx.Client]
    async_http: Callable[[], httpx.AsyncClient]
    environment: Callable[[str], str | None]
    tries_once: bool = False

    def remaining_seconds(self) -> float:
        """Seconds until the node's deadline; never negative."""
        return max(0.0, self.deadline - time.monotonic())
