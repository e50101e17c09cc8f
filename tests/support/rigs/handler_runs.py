"""Running one handler in a test as the worker would: through an Invoker, with a Context."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext

from msgspec.structs import replace

from flowengine.handlers.handler_settings import load_handler_settings
from flowengine.handlers.invoking.invoker import Invoker
from flowengine.handlers.loading import load_registry
from flowengine.jsonvalue import JsonValue, decode, encode
from flowengine.plugin import Context, Handler
from flowengine.plugin.registry import marked
from flowengine.settings import load_settings
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

    def __init__(self, egress: Egress, environment: Mapping[str, str]) -> None:
        self._egress: Egress = egress
        self.log = RecordedLog()
        self._environment = dict(environment)
        self._registry = load_registry()
        self.invoker = self._invoker(environment)

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
        own = closing(self._invoker({**self._environment, **environment})) if environment else None
        with own or nullcontext(self.invoker) as invoker:
            # A client belongs to the event loop of its invoker.
            context = replace(context, http=invoker.http, async_http=invoker.async_http)
            output = decode(encode(invoker.invoke(handler, dict(config), context)))
        assert isinstance(output, dict), f"the output is {type(output).__name__}, not an object"
        return output

    def _invoker(self, environment: Mapping[str, str]) -> Invoker:
        """An invoker as a worker of this environment would make it."""
        settings = load_settings(environment, None)
        return Invoker(
            egress=self._egress, settings=load_handler_settings(self._registry, settings, environment)
        )


def described(function: object) -> Handler:
    """The handler that a function was marked as."""
    found = marked(function)
    assert found is not None
    return found


@contextmanager
def running(egress: Egress = "any", environment: Mapping[str, str] = FAST_RETRIES) -> Iterator[Runs]:
    """Handlers that may call loopback and retry at once, for the length of a with block."""
    runs = Runs(egress, environment)
    with closing(runs.invoker):
        yield runs
