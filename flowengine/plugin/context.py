"""What a handler is told besides its config and its settings."""

from __future__ import annotations

import threading
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


class Cancellation:
    """Whether a handler is asked to stop, as nobody waits for it any more. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._requested = False
        self._then: list[Callable[[], object]] = []

    @property
    def requested(self) -> bool:
        """Whether it is."""
        return self._requested

    def request(self) -> None:
        """Ask it to stop."""
        with self._guard:
            self._requested = True
            then, self._then = self._then, []
        for call in then:
            call()

    def on_request(self, call: Callable[[], object]) -> None:
        """Call `call` once it is asked to stop: at once, if it has been."""
        with self._guard:
            if not self._requested:
                self._then.append(call)
                return
        call()

    def forget(self) -> None:
        """It has ended: call nothing. What was to be called refers to it, and both would stay in a ring."""
        with self._guard:
            self._then = []


class Output(Protocol):
    """Where a handler's progress and text go."""

    def progress(self, done: float, total: float | None, message: str | None) -> None: ...
    def emit(self, text: str) -> None: ...


class Unheard:
    """An Output that nobody listens to."""

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        """Forget it."""

    def emit(self, text: str) -> None:
        """Forget it."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery of one attempt at one node.

    `deadline` is on the clock of `time.monotonic`, in seconds. `idempotency_key` stays the same when a crash
    makes the engine run the same attempt again; send it to services that can deduplicate. `http` and
    `async_http` return the process's shared httpx clients, which enforce the egress rules. `environment`
    gives an environment variable (or a line of `.env`) as text, or None; settings with types are a handler's
    third argument. `tries_once`: the node has a `retry` of its own, so the handler must not try again by
    itself. `traceparent`: the header (W3C Trace Context) that makes a call a part of the execution's trace;
    None while there are no traces. `callback_url`: where the callback is posted to that ends the node, of one
    with `wait_for_callback`; send it on to the service. In what the handler gives or logs it is shown as
    `***`.
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
    traceparent: str | None = None
    cancellation: Cancellation = msgspec.field(default_factory=Cancellation)
    output: Output = msgspec.field(default_factory=Unheard)
    callback_url: str | None = None

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Tell those who watch how far the node is: `done` of `total`, and a word about it.

        Costs next to nothing: the newest is sent on, at most twice a second. Raises ValueError for infinite
        numbers.
        """
        self.output.progress(done, total, message)

    def emit(self, text: str) -> None:
        """Send text on to those who watch, as it comes: the words of a language model, say.

        It is collected and sent at most twice a second. It is no result, and is kept for an hour at most.
        Raises TypeError for what is no text.
        """
        self.output.emit(text)

    def cancelled(self) -> bool:
        """Whether nobody waits for the handler any more: the execution is being stopped, or another worker
        runs the node. A handler that takes long asks now and then, and returns or raises. An async handler
        need not ask: it is cancelled."""
        return self.cancellation.requested

    def remaining_seconds(self) -> float:
        """Seconds until the node's deadline; never negative."""
        return max(0.0, self.deadline - time.monotonic())
