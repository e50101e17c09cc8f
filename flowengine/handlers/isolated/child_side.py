"""The child's side of isolation: takes jobs, calls their handlers, tells what came of them.

Handlers run on the process's main thread, one at a time. A thread beside it listens: it tells a handler to
stop, and ends the process when the worker is gone.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec

from flowengine import jsonvalue
from flowengine.execution.error_codes import UNENCODABLE_RESULT, UNKNOWN_HANDLER
from flowengine.handlers.invoking.invoker import Invoker
from flowengine.handlers.isolated.frames import (
    Asked,
    Began,
    Delayed,
    FromChild,
    Job,
    Raised,
    Ready,
    Returned,
    Spoke,
    ToChild,
    Wire,
)
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.observability.log_context import bound_contextvars
from flowengine.observability.node_output import NodeOutput, heard_by
from flowengine.plugin.context import Cancellation, Context, Log
from flowengine.plugin.errors import HandlerError, HandlerTimeoutError, Later, ResultTooLargeError
from flowengine.plugin.registry import Registry
from flowengine.plugin.waiting import Wait

IDLE_S: Final = 300.0
"""A child that has had nothing to do for so long ends."""

SPOKEN_EVERY_S: Final = 0.05
"""Progress and text are told so often at most. Lines are told at once: the process may die of the next."""


class ChildSide:
    """Runs jobs. `logger` makes what a handler logs with, for its name."""

    def __init__(
        self,
        sock: socket.socket,
        registry: Registry,
        invoker: Invoker,
        secrets: Secrets,
        *,
        environment: Callable[[str], str | None],
        logger: Callable[[str], Log],
        max_result_bytes: int,
    ) -> None:
        self._wire: Wire[ToChild] = Wire(sock, ToChild)
        self._registry = registry
        self._invoker = invoker
        self._secrets = secrets
        self._environment = environment
        self._logger = logger
        self._max_result_bytes = max_result_bytes
        self._sending = threading.Lock()
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._cancellations: dict[int, Cancellation] = {}

    def serve(self, idle_s: float = IDLE_S) -> None:
        """Run jobs until there was none for `idle_s` seconds."""
        threading.Thread(target=self._listen, name="worker", daemon=True).start()
        self._send(Ready())
        while True:
            try:
                job = self._jobs.get(timeout=idle_s)
            except queue.Empty:
                return
            self._run(job)

    def _listen(self) -> None:
        while (frame := self._wire.receive()) is not None:
            if isinstance(frame, Job):
                self._cancellations[frame.number] = Cancellation()
                self._jobs.put(frame)
            elif (cancellation := self._cancellations.get(frame.number)) is not None:
                cancellation.request()
        os._exit(0)  # nobody is left who would hear what comes of it

    def _send(self, frame: FromChild) -> None:
        with self._sending:
            self._wire.send(frame)

    def _run(self, job: Job) -> None:
        self._send(Began(job.number))
        output = _SpokenAtOnce(job, self._send)
        try:
            with (
                self._secrets.hiding(job.hidden),
                bound_contextvars(
                    execution_id=job.execution_id,
                    node_id=job.node_id,
                    attempt=job.attempt,
                    correlation_id=job.correlation_id,
                ),
            ):
                ended = self._ended(job, output)
        finally:
            self._cancellations.pop(job.number, None)
            output.tell(last=True)
        self._send(ended)

    def _ended(self, job: Job, output: NodeOutput) -> Returned | Raised | Delayed | Asked:
        handler = self._registry.get(job.handler)
        try:
            if handler is None:
                raise HandlerError(UNKNOWN_HANDLER.code, f"this process knows no handler '{job.handler}'")
            config = jsonvalue.decode(job.config)
            with heard_by(output):
                returned = self._invoker.invoke(handler, config, self._context(job, output))
                if isinstance(returned, Wait):
                    return self._asked(job, returned)
                data = jsonvalue.encode_unruly(returned)
            if len(data) > self._max_result_bytes:
                raise ResultTooLargeError(len(data), self._max_result_bytes)
            return Returned(job.number, self._secrets.redact_json(data))
        except jsonvalue.UnencodableError as error:
            message = self._secrets.redact(f"the handler returned no JSON value: {error}")
            return Raised(job.number, UNENCODABLE_RESULT.code, message)
        except HandlerError as error:
            return self._raised(job, error)
        except Later as later:
            return Delayed(job.number, float(later.seconds))

    def _asked(self, job: Job, wait: Wait) -> Asked:
        names = wait.signal if isinstance(wait.signal, str) or wait.signal is None else tuple(wait.signal)
        prompt = None if wait.prompt is None else self._secrets.redact(wait.prompt)
        return Asked(job.number, names, prompt, wait.timeout_seconds, wait.on_timeout)

    def _raised(self, job: Job, error: HandlerError) -> Raised:
        wait_s = error.retry_after_s
        raised = Raised(
            number=job.number,
            code=self._secrets.redact(error.code),
            message=self._secrets.redact(error.message),
            errors=error.errors,
            status_code=error.status_code if isinstance(error.status_code, int) else None,
            permanent=error.permanent is True,
            retry_after_s=float(wait_s) if isinstance(wait_s, int | float) else None,
            timed_out=isinstance(error, HandlerTimeoutError),
        )
        with_calls = msgspec.structs.replace(raised, calls=error.calls)
        try:
            msgspec.msgpack.encode(with_calls)
        except (TypeError, ValueError, OverflowError, RecursionError):
            return raised
        return with_calls

    def _context(self, job: Job, output: NodeOutput) -> Context:
        return Context(
            execution_id=job.execution_id,
            run=job.run,
            node_id=job.node_id,
            attempt=job.attempt,
            delivery=job.delivery,
            deadline=time.monotonic() + job.remaining_s,
            idempotency_key=job.idempotency_key,
            correlation_id=job.correlation_id,
            tries_once=job.tries_once,
            traceparent=job.traceparent,
            logger=self._logger(job.handler),
            http=self._invoker.http,
            async_http=self._invoker.async_http,
            environment=self._environment,
            cancellation=self._cancellations[job.number],
            output=output,
            callback_url=job.callback_url,
        )


class _SpokenAtOnce(NodeOutput):
    """What a handler says, told to the worker: its lines before it goes on."""

    def __init__(self, job: Job, send: Callable[[FromChild], None]) -> None:
        super().__init__(job.now_ms)
        self._number = job.number
        self._send = send
        self._telling = threading.Lock()
        self._told_at = 0.0
        self._timer: threading.Timer | None = None

    def tell(self, *, last: bool = False) -> None:
        """Tell what was said since the last time."""
        with self._telling:
            while (taken := self.take(last=last)) is not None:
                self._told_at = time.monotonic()
                step = None if taken.step is None else (*taken.step,)
                spoke = Spoke(self._number, taken.lines, taken.dropped, step, taken.text, taken.text_at)
                with contextlib.suppress(OSError):  # the worker is gone, and so is this process in a moment
                    self._send(msgspec.structs.replace(spoke, text_dropped=taken.text_dropped))

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        """Say how far it is."""
        super().progress(done, total, message)
        self._tell_soon()

    def emit(self, text: str) -> None:
        """Send text on to those who watch."""
        super().emit(text)
        self._tell_soon()

    def _add(self, line: bytes) -> None:
        super()._add(line)
        if not self._telling.locked():
            self.tell()

    def _tell_soon(self) -> None:
        if time.monotonic() - self._told_at > SPOKEN_EVERY_S:
            self.tell()
        elif self._timer is None or not self._timer.is_alive():
            self._timer = threading.Timer(SPOKEN_EVERY_S, self.tell)
            self._timer.daemon = True
            self._timer.start()
