"""Running one handler in a test as the worker would: through an Invoker, with a Context."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flowengine.handlers import load_registry
from flowengine.handlers.invoking.invoker import Invoker
from flowengine.jsonvalue import JsonValue, decode, encode
from flowengine.plugin import Context, Handler
from flowengine.settings.model import Egress

FAST_RETRIES = {"FLOWENGINE_RETRY_BASE_SECONDS": "0.01"}


class RecordedLog:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def debug(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))

    info = warning = error = debug


class Runs:
    """Runs handlers, and keeps what they logged."""

    def __init__(self, invoker: Invoker, environment: Mapping[str, str]) -> None:
        self.invoker = invoker
        self.log = RecordedLog()
        self._environment = dict(environment)
        self._registry = load_registry()

    def context(self, *, timeout_s: float = 10.0, environment: Mapping[str, str] | None = None) -> Context:
        """A context whose deadline is `timeout_s` from now."""
        return Context(
            execution_id="x1",
            run=1,
            node_id="call",
            attempt=1,
            delivery=1,
            deadline=time.monotonic() + timeout_s,
            idempotency_key="x1/call/1",
            correlation_id="correlation-1",
            logger=self.log,
            http=self.invoker.http,
            async_http=self.invoker.async_http,
            environment={**self._environment, **(environment or {})}.get,
        )

    def run(
        self,
        name: str,
        config: Mapping[str, JsonValue],
        *,
        timeout_s: float = 10.0,
        environment: Mapping[str, str] | None = None,
    ) -> dict[str, JsonValue]:
        """The output of the built-in handler `name`, as JSON would carry it."""
        handler = self._registry.get(name)
        assert handler is not None, f"no handler called {name}"
        return self.run_handler(handler, config, timeout_s=timeout_s, environment=environment)

    def run_handler(
        self,
        handler: Handler,
        config: Mapping[str, JsonValue],
        *,
        timeout_s: float = 10.0,
        environment: Mapping[str, str] | None = None,
    ) -> dict[str, JsonValue]:
        """The output of any handler, as JSON would carry it."""
        context = self.context(timeout_s=timeout_s, environment=environment)
        output = decode(encode(self.invoker.invoke(handler, dict(config), context)))
        assert isinstance(output, dict), f"the output is {type(output).__name__}, not an object"
        return output


@contextmanager
def running(egress: Egress = "any", environment: Mapping[str, str] = FAST_RETRIES) -> Iterator[Runs]:
    """Handlers that may call loopback and retry at once, for the length of a with block."""
    invoker = Invoker(egress=egress)
    try:
        yield Runs(invoker, environment)
    finally:
        invoker.close()
