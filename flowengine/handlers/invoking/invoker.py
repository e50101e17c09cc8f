"""Calls a handler: makes its config typed, keeps its deadline, turns whatever it raises into a HandlerError.

Sync handlers run in the calling thread, async ones on the process's event loop. A sync handler that does
not return cannot be stopped from here: its network calls end at the deadline, and the caller has to give up
on everything else. Decides nothing about nodes.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import msgspec
import structlog

from flowengine.execution.error_codes import HANDLER_CANCELLED, HANDLER_ERROR, INVALID_CONFIG, REQUEST_TIMEOUT
from flowengine.handlers.handler_settings import HandlerSettings
from flowengine.handlers.http.network import network_deadline
from flowengine.handlers.invoking.event_loop import EventLoopThread
from flowengine.handlers.invoking.failures import described, failure_of, text_of
from flowengine.handlers.secrets.shown_text import REDACTOR, Redactor, redacting
from flowengine.jsonvalue import JsonValue
from flowengine.plugin.context import Context
from flowengine.plugin.errors import HandlerError, HandlerTimeoutError, Later
from flowengine.plugin.registry import AnyObject, Handler
from flowengine.settings.model import Egress

if TYPE_CHECKING:
    import ssl

    import httpx

    from flowengine.handlers.http.network.forbidden_target import ForbiddenTarget

# How long a cancelled handler may take to clean up before nobody waits for it any more.
_CLEAN_UP_SECONDS: Final = 2.0
_NETWORK_FIRST_SECONDS: Final = 0.05


Ended: TypeAlias = tuple[object, BaseException | None]
"""What a handler has returned, or what it has raised."""

_NEVER_AWAITED: Final = frozenset((dict, list, str, int, float, bool, type(None)))

log = structlog.stdlib.get_logger()


class Isolation(Protocol):
    """Calls handlers in child processes."""

    def invoke(self, handler: Handler, config: JsonValue, context: Context) -> object: ...
    def close(self) -> None:
        """End the processes."""


class Invoker:
    """Runs handlers for one process, and owns what they share: HTTP clients and the event loop."""

    def __init__(
        self,
        *,
        egress: Egress,
        settings: HandlerSettings,
        forbidden: ForbiddenTarget | None = None,
        trust: ssl.SSLContext | None = None,
        redact: Redactor | None = None,
        isolation: Isolation | None = None,
    ) -> None:
        """Starts nothing; clients and loop are made when they are first needed.

        `settings` holds one struct for each type that a handler takes as its settings. `forbidden` is where
        no handler may connect, whatever the egress rules say. `trust` is what the certificates of services
        are verified with. `redact` takes secrets out of what messages quote, before they cut it. `isolation`
        calls isolated handlers; without, they are called here.
        """
        self._egress: Egress = egress
        self._settings = settings
        self._forbidden = forbidden
        self._trust = trust
        self._redact = redact
        self._isolation = isolation
        self._lock = threading.Lock()
        self._loop = EventLoopThread()
        self._http: httpx.Client | None = None
        self._async_http: httpx.AsyncClient | None = None

    def http(self) -> httpx.Client:
        """The shared client for sync handlers (`Context.http`)."""
        with self._lock:
            if self._http is None:
                from flowengine.handlers.http.clients import make_client

                self._http = make_client(self._egress, verify=self._trust, forbidden=self._forbidden)
            return self._http

    def async_http(self) -> httpx.AsyncClient:
        """The shared client for async handlers (`Context.async_http`)."""
        with self._lock:
            if self._async_http is None:
                from flowengine.handlers.http.clients import make_async_client

                self._async_http = make_async_client(
                    self._egress, verify=self._trust, forbidden=self._forbidden
                )
            return self._async_http

    def invoke(self, handler: Handler, config: JsonValue, context: Context) -> object:
        """What the handler returns for a rendered config.

        Raises Later, and HandlerError: `invalid_config`, which names the field, or what `failure_of` makes of
        an exception of the handler. Raises HandlerTimeoutError if an async handler passes the deadline, or an
        isolated one.
        """
        if handler.isolated and self._isolation is not None:
            return self._isolation.invoke(handler, config, context)
        redactor = REDACTOR.set(self._redact)
        try:
            return self._invoked(handler, typed_config(handler, config), context)
        finally:
            REDACTOR.reset(redactor)

    def _invoked(self, handler: Handler, typed: msgspec.Struct, context: Context) -> object:
        if handler.is_async:
            with network_deadline.until(context.deadline):
                return self._wait(self._call(handler, typed, context), handler, context)
        try:
            deadline = network_deadline.DEADLINE.set(context.deadline)
            try:
                output = self._call(handler, typed, context)
            finally:
                network_deadline.DEADLINE.reset(deadline)
            # Asked first: to ask of a plain value whether it can be awaited takes longer than to make it.
            waits = type(output) not in _NEVER_AWAITED and inspect.isawaitable(output)
        except Later:
            raise
        except BaseException as error:
            raise self._failed(error, handler, context) from error
        return self._wait(output, handler, context) if waits else output

    def begin(
        self, handler: Handler, config: JsonValue, context: Context, ended: Callable[[Ended], None]
    ) -> None:
        """Start an async handler, which holds no thread. `ended` is called once, on the event loop's thread.

        Raises HandlerError if it cannot be started. A handler that neither returns nor lets itself be
        cancelled never ends: see `forsake`.
        """
        with redacting(self._redact), network_deadline.until(context.deadline):
            typed = typed_config(handler, config)
            try:
                output = self._call(handler, typed, context)
            except Later:
                raise
            except BaseException as error:
                raise self._failed(error, handler, context) from error
            if not inspect.isawaitable(output):
                ended((output, None))
                return
            awaited = self._awaited(output, handler, context, context.remaining_seconds())
            future = self._loop.submit(awaited)

        def tell(done: concurrent.futures.Future[object]) -> None:
            context.cancellation.forget()
            try:
                ended((done.result(), None))
            except concurrent.futures.CancelledError:
                ended((None, _cancelled(handler)))
                self._loop.soon(lambda: _close_unstarted(output))
            except BaseException as error:  # noqa: BLE001 - handed on as the handler's outcome
                ended((None, error))

        context.cancellation.on_request(future.cancel)
        future.add_done_callback(tell)

    def forsake(self, handler: str) -> None:
        """A handler that was begun has ignored the end of its time. The loop is asked whether it turns."""
        self._loop.ask()
        log.warning("handler.left_behind", handler=handler)

    def loop_silent_s(self) -> float:
        """For how long the event loop has been blocked, in seconds, once a handler did not end in time."""
        return self._loop.silent_s()

    def close(self, *, within_s: float = 5.0) -> None:
        """Close the clients and stop the loop; async handlers that still run are cancelled.

        After `within_s` nobody waits any more for those that ignore that.
        """
        until = time.monotonic() + within_s
        with self._lock:
            client, async_client = self._http, self._async_http
            self._http = self._async_http = None
        if client is not None:
            client.close()
        if async_client is not None:
            # If the loop is gone or stuck, the sockets end with the process, which is about to end.
            with contextlib.suppress(RuntimeError, TimeoutError):
                self._loop.submit(async_client.aclose()).result(timeout=min(_CLEAN_UP_SECONDS, within_s / 2))
        self._loop.close(max(0.0, until - time.monotonic()))
        if self._isolation is not None:
            self._isolation.close()

    def _call(self, handler: Handler, config: msgspec.Struct, context: Context) -> object:
        if handler.settings_type is None:
            return handler.function(config, context)
        return handler.function(config, context, self._settings[handler.settings_type])

    def _wait(self, output: object, handler: Handler, context: Context) -> object:
        """The result or failure of an async handler, at the latest shortly after the deadline."""
        if not inspect.isawaitable(output):
            return output
        remaining_s = context.remaining_seconds()
        future = self._loop.submit(self._awaited(output, handler, context, remaining_s))
        context.cancellation.on_request(future.cancel)
        try:
            return future.result(timeout=remaining_s + _CLEAN_UP_SECONDS)
        except concurrent.futures.CancelledError as error:
            self._loop.soon(lambda: _close_unstarted(output))
            raise _cancelled(handler) from error
        except TimeoutError as error:
            # The handler ignored its cancellation, or it blocks the event loop.
            future.cancel()
            self._loop.ask()
            context.logger.warning("handler.left_behind", handler=handler.name)
            raise _timed_out(handler) from error
        finally:
            context.cancellation.forget()

    async def _awaited(
        self, output: Awaitable[object], handler: Handler, context: Context, remaining_s: float
    ) -> object:
        loop, limit = asyncio.get_running_loop(), asyncio.timeout(None)

        def end_soon() -> None:
            # Its network calls end now, and say more of themselves than a cancellation would.
            limit.reschedule(loop.time() + _NETWORK_FIRST_SECONDS)

        try:
            async with limit:
                over = loop.call_later(remaining_s, end_soon)
                try:
                    return await output
                finally:
                    over.cancel()
        except (asyncio.CancelledError, Later):
            raise
        except BaseException as error:
            if limit.expired() and isinstance(error, TimeoutError):
                raise _timed_out(handler) from error
            raise self._failed(error, handler, context) from error

    def _failed(self, error: BaseException, handler: Handler, context: Context) -> HandlerError:
        failure = failure_of(error)
        if failure.code == HANDLER_ERROR.code:  # a defect of the handler; its author needs the traceback
            _log_traceback(error, context)
        if failure.code == REQUEST_TIMEOUT.code and context.remaining_seconds() <= 0:
            return HandlerTimeoutError(
                f"{failure.message}; {_over(handler)}", errors=failure.errors, calls=failure.calls
            )
        return failure


def typed_config(handler: Handler, config: JsonValue) -> msgspec.Struct:
    """A rendered config as the handler takes it.

    Raises HandlerError: `invalid_config`, which names the field.
    """
    if handler.config_type is AnyObject and isinstance(config, dict):
        return AnyObject(config)
    try:
        return msgspec.convert(config, handler.config_type)
    except msgspec.ValidationError as error:
        message, _, path = text_of(error).partition(" - at `$")
        field = path.rstrip("`").lstrip(".")
        where = f"config.{field}" if field and not field.startswith("[") else f"config{field}"
        raise HandlerError(INVALID_CONFIG.code, f"{where}: {message}") from error
    except BaseException as error:  # the struct's own code, which may raise anything
        raise HandlerError(INVALID_CONFIG.code, f"config: {failure_of(error).message}") from error


def _log_traceback(error: BaseException, context: Context) -> None:
    """Never fails: what shows a traceback asks the exception for its text, its notes and its causes."""
    try:
        context.logger.error("handler.raised", exc_info=error)
    except BaseException:  # noqa: BLE001 - the edge to users' code: any part of their exception may raise
        context.logger.error("handler.raised", error=described(error))


def _close_unstarted(output: object) -> None:
    """A coroutine that was cancelled before its first step would complain when it is collected.

    On the loop: elsewhere its first step may come in between.
    """
    if inspect.iscoroutine(output) and inspect.getcoroutinestate(output) == inspect.CORO_CREATED:
        output.close()


def _cancelled(handler: Handler) -> HandlerError:
    return HandlerError(
        HANDLER_CANCELLED.code,
        f"handler '{handler.name}' was cancelled, by itself or because its process is stopping",
    )


def _over(handler: Handler) -> str:
    return f"handler '{handler.name}' did not end within the node's timeout_seconds"


def _timed_out(handler: Handler) -> HandlerTimeoutError:
    return HandlerTimeoutError(_over(handler))
