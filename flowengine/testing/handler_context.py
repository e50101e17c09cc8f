"""The context that a test calls a handler with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import httpx
import structlog

from flowengine.plugin import Cancellation, Context
from flowengine.plugin.context import Output, Unheard


class Heard(Output):
    """An Output that keeps what a handler says: `progress` as (done, total, message), `texts` in their
    order."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float | None, str | None]] = []
        self.texts: list[str] = []

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        """Keep it."""
        self.steps.append((done, total, message))

    def emit(self, text: str) -> None:
        """Keep it."""
        self.texts.append(text)


def context(
    *,
    node_id: str = "node",
    execution_id: str = "0190a1b2c3d0000000000000000",
    run: int = 1,
    attempt: int = 1,
    delivery: int = 1,
    timeout_s: float = 60.0,
    idempotency_key: str = "0190a1b2c3d0000000000000000-1-node",
    correlation_id: str = "test",
    tries_once: bool = False,
    environment: Mapping[str, str] | None = None,
    http: httpx.Client | None = None,
    async_http: httpx.AsyncClient | None = None,
    cancellation: Cancellation | None = None,
    output: Output | None = None,
) -> Context:
    """A context as a worker makes it, `timeout_s` before its deadline. What is left out has a plain value.

    `http`, `async_http`: what `context.http()` gives: `httpx.Client(transport=httpx.MockTransport(...))`, for
    one. Without, a handler that asks for a client fails the test. `environment`: the variables that it reads.
    `output`: a `Heard`, where the test looks at what the handler says.
    """
    variables = environment or {}
    return Context(
        execution_id=execution_id,
        run=run,
        node_id=node_id,
        attempt=attempt,
        delivery=delivery,
        deadline=time.monotonic() + timeout_s,
        idempotency_key=idempotency_key,
        correlation_id=correlation_id,
        tries_once=tries_once,
        logger=structlog.stdlib.get_logger("flowengine.handler"),
        http=_client(http, "http"),
        async_http=_async_client(async_http),
        environment=variables.get,
        cancellation=Cancellation() if cancellation is None else cancellation,
        output=Unheard() if output is None else output,
    )


def _client(given: httpx.Client | None, name: str) -> Callable[[], httpx.Client]:
    def client() -> httpx.Client:
        if given is None:
            raise AssertionError(_missing(name))
        return given

    return client


def _async_client(given: httpx.AsyncClient | None) -> Callable[[], httpx.AsyncClient]:
    def client() -> httpx.AsyncClient:
        if given is None:
            raise AssertionError(_missing("async_http"))
        return given

    return client


def _missing(name: str) -> str:
    return f"the handler asks for a client, and the test has given none: context({name}=...)"
