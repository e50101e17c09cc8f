"""The child processes of one worker: made when they are needed, kept for the next job, killed when they fail.

A thread of the worker waits for each job, so there are never more of them than threads. None is made before
a handler needs one.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

import structlog

from flowengine.engine.ports import EncodedOutput
from flowengine.execution.error_codes import HANDLER_CRASHED, INVALID_CONFIG
from flowengine.handlers.isolated.child_process import ChildProcess, GoneError
from flowengine.handlers.isolated.frames import Job
from flowengine.jsonvalue import JsonValue, UnencodableError, encode
from flowengine.observability.node_output import NodeOutput, heard_by
from flowengine.plugin.context import Context
from flowengine.plugin.errors import HandlerError
from flowengine.plugin.registry import Handler
from flowengine.plugin.waiting import Wait

STARTED_WITHIN_S: Final = 30.0
"""To make a process takes some milliseconds: a system that takes longer is out of something."""

log = structlog.stdlib.get_logger()


class Children:
    """Runs the calls of isolated handlers, for the threads of one worker process.

    `argv` is the program of a child. `hidden` gives the texts that are secret in the executions whose nodes
    run now.
    """

    def __init__(
        self, argv: Sequence[str], *, hidden: Callable[[], Sequence[str]], max_result_bytes: int
    ) -> None:
        self._argv = tuple(argv)
        self._hidden = hidden
        self._max_result_bytes = max_result_bytes
        self._guard = threading.Lock()
        self._idle: list[ChildProcess] = []
        self._busy: set[ChildProcess] = set()
        self._closed = False
        self._starter: _Starter | None = None

    def warm_up(self) -> None:
        """Start one now, so that the first job need not wait for it."""
        try:
            child = self._start()
        except HandlerError as error:
            log.warning("isolated.process_not_started", error=error.message)
            return
        with self._guard:
            self._idle.append(child)

    def invoke(self, handler: Handler, config: JsonValue, context: Context) -> EncodedOutput | Wait:
        """What the handler returns in a child process.

        Raises HandlerError: `handler_crashed` if the process ends, else what the handler has failed with, and
        HandlerTimeoutError. At the node's deadline the process is killed.
        """
        try:
            data = encode(config)
        except UnencodableError as error:
            raise HandlerError(
                INVALID_CONFIG.code, f"config: no other process can have it: {error}"
            ) from error
        output = context.output if isinstance(context.output, NodeOutput) else None

        def job(number: int) -> Job:
            return Job(
                number=number,
                handler=handler.name,
                config=data,
                execution_id=context.execution_id,
                run=context.run,
                node_id=context.node_id,
                attempt=context.attempt,
                delivery=context.delivery,
                remaining_s=context.remaining_seconds(),
                idempotency_key=context.idempotency_key,
                correlation_id=context.correlation_id,
                tries_once=context.tries_once,
                now_ms=0 if output is None else output.now(),
                hidden=tuple(self._hidden()),
                traceparent=context.traceparent,
                callback_url=context.callback_url,
            )

        while True:
            child, is_new = self._take()
            try:
                return child.run(handler.name, job, context.deadline, context.cancellation, output)
            except GoneError as error:
                # One that has waited may have ended by itself, or been ended by the system.
                if is_new:
                    raise HandlerError(
                        HANDLER_CRASHED.code,
                        f"the process for handler '{handler.name}' could not begin: {error}",
                    ) from error
            finally:
                self._give_back(child)

    def close(self) -> None:
        """End them all. A thread that waits for one does not come back: its node is another's."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for child in busy:
            child.kill()
        for child in idle:
            child.reap()

    def _take(self) -> tuple[ChildProcess, bool]:
        """A child, and whether it is new. The last one that was given back comes first: others may end."""
        with self._guard:
            if self._idle:
                child = self._idle.pop()
                self._busy.add(child)
                return child, False
        child = self._start()
        with self._guard:
            self._busy.add(child)
        return child, True

    def _give_back(self, child: ChildProcess) -> None:
        with self._guard:
            self._busy.discard(child)
            closed = self._closed
            if child.is_fit and not closed:
                self._idle.append(child)
                return
        if closed:
            # The process ends. What this thread would report is not known to be true: it was handed back.
            threading.Event().wait()
        code = child.reap()
        with heard_by(None):  # the node has not said it
            log.info("isolated.process_ended", pid=child.pid, exit_code=code)

    def _start(self) -> ChildProcess:
        with self._guard:
            if self._starter is None:
                self._starter = _Starter()
                self._starter.start()
        made = self._starter.begin(self._made)
        try:
            child = made.result(STARTED_WITHIN_S)
        except (OSError, TimeoutError) as error:
            made.add_done_callback(_reap)  # one that comes late is nobody's
            raise HandlerError(
                HANDLER_CRASHED.code, f"the system starts no process for the handler: {error}"
            ) from error
        with heard_by(None):
            log.info("isolated.process_started", pid=child.pid)
        return child

    def _made(self) -> ChildProcess:
        return ChildProcess(self._argv, max_result_bytes=self._max_result_bytes)


def _reap(made: Future[ChildProcess]) -> None:
    if made.exception() is None:
        made.result().reap()


class _Starter(threading.Thread):
    """Makes the processes. Linux takes the thread that has made a process for its parent, and kills it when
    that thread ends: this one never does before its process."""

    def __init__(self) -> None:
        super().__init__(name="isolated-starter", daemon=True)
        self._wanted: queue.SimpleQueue[tuple[Callable[[], ChildProcess], Future[ChildProcess]]] = (
            queue.SimpleQueue()
        )

    def begin(self, make: Callable[[], ChildProcess]) -> Future[ChildProcess]:
        """The process that `make` makes, on this thread."""
        future: Future[ChildProcess] = Future()
        self._wanted.put((make, future))
        return future

    def run(self) -> None:
        """Make what is wanted, for ever."""
        while True:
            make, future = self._wanted.get()
            try:
                future.set_result(make())
            except BaseException as error:  # noqa: BLE001 - handed on to the one who waits
                future.set_exception(error)
